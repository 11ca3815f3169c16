import { describe, expect, it } from 'vitest';
import { LineMeter } from './line-meter';

/** Parts of a third of a second, of a broadcast with so many bits, over a line with so many. */
function play(meter: LineMeter, from: number, parts: number, bits: number, line: number): number {
  const bytes = bits / 24;
  for (let part = 1; part <= parts; part += 1) {
    meter.came(from + part * 333, (bytes * 8_000) / line, bytes);
  }
  return from + parts * 333;
}

describe('what the line carries', () => {
  it('is what was said until something came', () => {
    const meter = new LineMeter(5e6);
    expect([meter.getEstimate(), meter.canEstimate()]).toEqual([5e6, false]);
    meter.came(0, 100, 12_500);
    expect(meter.canEstimate()).toBe(true);
    expect(meter.getEstimate()).toBeCloseTo(1e6 / 1.1, -1);
    meter.begin(3e6);
    expect(meter.getEstimate()).toBe(3e6);
  });

  it('is known within a second when it becomes less', () => {
    const meter = new LineMeter(5e6);
    const now = play(meter, 0, 30, 2.5e6, 10e6);
    expect(meter.getEstimate()).toBeGreaterThan(8e6);
    play(meter, now, 3, 2.5e6, 2e6);
    expect(meter.getEstimate()).toBeLessThan(2.5e6);
  });

  it('is known within three seconds when it becomes more, though the parts are small', () => {
    const meter = new LineMeter(5e6);
    const now = play(meter, 0, 60, 0.4e6, 1e6);
    expect(meter.getEstimate()).toBeLessThan(1e6);
    play(meter, now, 10, 0.4e6, 10e6);
    expect(meter.getEstimate()).toBeGreaterThan(4e6);
  });

  it('is not judged by one small part whose bytes were all there when the page looked', () => {
    const meter = new LineMeter(5e6);
    meter.begin(1e6);
    meter.came(0, 200, 25_000);
    meter.came(300, 0, 12_000);
    expect(meter.getEstimate()).toBeLessThan(1.5e6);
  });

  it('knows nothing of loads without bytes or time', () => {
    const meter = new LineMeter(5e6);
    meter.came(0, 10, 0);
    meter.came(0, Number.NaN, 10_000);
    meter.came(0, -5, 10_000);
    expect(meter.canEstimate()).toBe(false);
    meter.sampleTTFB(200);
    expect(meter.getEstimateTTFB()).toBeCloseTo(120);
  });
});
