import { useMemo } from 'react';
import styles from './ChannelArt.module.css';

const WIDTH = 640;
const HEIGHT = 360;
const LINES = 15;
const STEPS = 64;

/** A still picture for a channel that has none: currents, the same for the same name. */
export function ChannelArt({ name }: { readonly name: string }) {
  const { lines, hue } = useMemo(() => currents(name), [name]);
  return (
    <svg
      className={styles.art}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="xMidYMid slice"
      aria-hidden="true"
    >
      <rect width={WIDTH} height={HEIGHT} fill={`hsl(${hue} 32% 11%)`} />
      {lines.map((d, index) => {
        const depth = index / (LINES - 1);
        return (
          <path
            key={d}
            d={d}
            fill={`hsl(${hue + depth * 26} ${30 + depth * 18}% ${13 + depth * 17}% / 0.55)`}
            stroke={`hsl(${index % 5 === 2 ? 40 : hue + 12} 70% 66% / ${(0.1 + depth * 0.3).toFixed(2)})`}
            strokeWidth="1.2"
          />
        );
      })}
    </svg>
  );
}

function currents(name: string): { lines: string[]; hue: number } {
  const next = randomOf(name);
  const hue = [172, 188, 202, 216, 152][Math.floor(next() * 5)] ?? 188;
  const waves = Array.from({ length: 3 }, () => ({
    length: 180 + next() * 420,
    height: 14 + next() * 34,
    phase: next() * Math.PI * 2,
    drift: 0.12 + next() * 0.3,
  }));
  const tilt = (next() - 0.5) * 120;
  const lines = Array.from({ length: LINES }, (_, line) => {
    const base = 46 + (line / LINES) * (HEIGHT - 20);
    const points = Array.from({ length: STEPS + 1 }, (_point, step) => {
      const x = (step / STEPS) * WIDTH;
      const y = waves.reduce(
        (sum, wave) => sum + Math.sin((x / wave.length) * Math.PI * 2 + wave.phase + line * wave.drift) * wave.height,
        base + tilt * (x / WIDTH - 0.5),
      );
      return `${x.toFixed(0)} ${y.toFixed(1)}`;
    });
    return `M-2 ${HEIGHT + 2}L-2 ${points[0]?.split(' ')[1] ?? base}L${points.join('L')}L${WIDTH + 2} ${HEIGHT + 2}z`;
  });
  return { lines, hue };
}

/** A small seeded generator (mulberry32), so that a name always looks the same. */
function randomOf(name: string): () => number {
  let seed = 2166136261;
  for (const letter of name) seed = Math.imul(seed ^ letter.charCodeAt(0), 16777619);
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let n = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n;
    return ((n ^ (n >>> 14)) >>> 0) / 4294967296;
  };
}
