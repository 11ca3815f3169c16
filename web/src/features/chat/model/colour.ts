/** Contrast that WCAG 2.2 SC 1.4.3 asks of text, and a little more, for rows that are lit. */
const CONTRAST = 5.2;
/** The brightest ground that names stand on, and the darkest of a light theme. */
export const GROUND = { dark: '#243036', light: '#e9eeee' } as const;

const known = new Map<string, string>();
const MOST_KNOWN = 5_000;

/** The colour of a person's name: always the same for the same id, and readable. `#rrggbb`. */
export function colourOf(id: string, theme: keyof typeof GROUND = 'dark'): string {
  const key = `${theme} ${id}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const hash = hashOf(id);
  const colour = readable(hash % 360, 0.45 + ((hash >>> 9) % 30) / 100, theme);
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, colour);
  return colour;
}

/** The first lightness at which the hue stands out enough from the ground. */
function readable(hue: number, saturation: number, theme: keyof typeof GROUND): string {
  const step = theme === 'dark' ? 0.02 : -0.02;
  let lightness = theme === 'dark' ? 0.6 : 0.42;
  let colour = hex(hue, saturation, lightness);
  while (contrast(colour, GROUND[theme]) < CONTRAST && lightness > 0.02 && lightness < 0.98) {
    lightness += step;
    colour = hex(hue, saturation, lightness);
  }
  return colour;
}

/** Contrast ratio of two colours, 1 to 21 (WCAG 2.2). */
export function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function hex(hue: number, saturation: number, lightness: number): string {
  const part = (n: number) => {
    const k = (n + hue / 30) % 12;
    const value = lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${part(0)}${part(8)}${part(4)}`;
}

/** FNV-1a with a last mix, so that ids that differ in one digit do not look alike. */
function hashOf(text: string): number {
  let hash = 2166136261;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 16777619);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return (hash ^ (hash >>> 15)) >>> 0;
}
