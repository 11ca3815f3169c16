import { describe, expect, it } from 'vitest';
import { LATENCY_LIMITS, LatencyControl, type LatencySample } from './latency-control';

const HOLD_BACK = 1;

/** A viewer whose playhead moves at the rate the control asks for. */
class Viewer {
  readonly control = new LatencyControl();
  now = 0;
  latency: number;
  canChangeRate = true;
  jumps = 0;
  rates: number[] = [];

  constructor(latency: number) {
    this.latency = latency;
  }

  /** Someone who joined a while ago. */
  static watching(latency: number): Viewer {
    const viewer = new Viewer(HOLD_BACK).watch(LATENCY_LIMITS.joinFor + 1);
    viewer.latency = latency;
    return viewer;
  }

  watch(seconds: number, sample: Partial<LatencySample> = {}): this {
    for (let elapsed = 0; elapsed < seconds; elapsed += 0.25) {
      this.now += 250;
      const action = this.control.handleSample({
        now: this.now,
        latency: this.latency,
        holdBack: HOLD_BACK,
        ahead: Math.max(0, this.latency - 0.3),
        canChangeRate: this.canChangeRate,
        ...sample,
      });
      if (action.kind === 'jump') {
        this.jumps += 1;
        this.latency = action.latency;
      } else {
        this.rates.push(action.rate);
        this.latency += (1 - action.rate) * 0.25;
      }
    }
    return this;
  }
}

describe('LatencyControl', () => {
  it('plays at the normal rate near the target', () => {
    const viewer = new Viewer(HOLD_BACK + 0.1).watch(10);
    expect(new Set(viewer.rates)).toEqual(new Set([1]));
  });

  it('moves someone who has just joined up to the target at once, if what lies there is buffered', () => {
    const viewer = new Viewer(HOLD_BACK + 0.7).watch(0.5, { ahead: 0.8 });
    expect([viewer.jumps, viewer.latency]).toEqual([0, expect.closeTo(HOLD_BACK + 0.7, 1)]);
    viewer.watch(0.25, { ahead: 1.5 });
    expect([viewer.jumps, viewer.latency]).toEqual([1, HOLD_BACK]);
    viewer.latency = HOLD_BACK + 0.7;
    viewer.watch(1, { ahead: 1.5 });
    expect(viewer.jumps).toBe(1);
    viewer.control.handleJoin();
    viewer.watch(0.25, { ahead: 1.5 });
    expect(viewer.jumps).toBe(2);
  });

  it('catches up gently and then rests at the target', () => {
    const viewer = Viewer.watching(HOLD_BACK + 2).watch(60);
    expect(viewer.jumps).toBe(0);
    expect(Math.max(...viewer.rates)).toBeLessThanOrEqual(LATENCY_LIMITS.fastest);
    expect(Math.abs(viewer.latency - HOLD_BACK)).toBeLessThan(LATENCY_LIMITS.begin);
    expect(viewer.rates.at(-1)).toBe(1);
  });

  it('gives back a reserve that is too small by slowing down', () => {
    const viewer = Viewer.watching(HOLD_BACK - 0.5).watch(30);
    expect(Math.min(...viewer.rates)).toBeGreaterThanOrEqual(LATENCY_LIMITS.slowest);
    expect(Math.min(...viewer.rates)).toBeLessThan(1);
    expect(Math.abs(viewer.latency - HOLD_BACK)).toBeLessThan(LATENCY_LIMITS.begin);
  });

  it('jumps when far behind, and not again at once', () => {
    const viewer = Viewer.watching(30).watch(0.25);
    expect([viewer.jumps, viewer.latency]).toEqual([1, HOLD_BACK]);
    viewer.latency = 30;
    viewer.watch(2);
    expect(viewer.jumps).toBe(1);
    viewer.watch(4);
    expect(viewer.jumps).toBe(2);
  });

  it('jumps at once when the page becomes visible again', () => {
    const viewer = Viewer.watching(30).watch(0.25);
    viewer.latency = 30;
    viewer.control.handleVisible();
    viewer.watch(0.25, { ahead: 5 });
    expect(viewer.jumps).toBe(2);
  });

  it('waits for the way to be loaded before it jumps over sparse keyframes', () => {
    const viewer = Viewer.watching(HOLD_BACK + 7).watch(1.5, { ahead: 0.4 });
    expect(viewer.jumps).toBe(0);
    viewer.watch(0.25, { ahead: 7.5 });
    expect([viewer.jumps, viewer.latency]).toEqual([1, HOLD_BACK]);
  });

  it('gives up on what does not load', () => {
    const viewer = Viewer.watching(HOLD_BACK + 20).watch(3, { ahead: 0.2 });
    expect([viewer.jumps, viewer.latency]).toEqual([1, HOLD_BACK]);
  });

  it('goes as far as the buffer reaches when loading rests', () => {
    const viewer = Viewer.watching(HOLD_BACK + 40).watch(0.25, { ahead: 20 });
    expect([viewer.jumps, viewer.latency]).toEqual([1, HOLD_BACK + 20.5]);
  });

  it('does not run a thin buffer dry', () => {
    const viewer = Viewer.watching(HOLD_BACK + 1).watch(5, { ahead: LATENCY_LIMITS.reserve / 2 });
    expect(Math.max(...viewer.rates)).toBe(1);
  });

  it('never changes the rate where the platform cannot, and jumps sooner instead', () => {
    const viewer = Viewer.watching(HOLD_BACK + 1.5);
    viewer.canChangeRate = false;
    viewer.watch(20);
    expect(new Set(viewer.rates)).toEqual(new Set([1]));
    viewer.latency = HOLD_BACK + 2.5;
    viewer.watch(0.25);
    expect(viewer.jumps).toBe(1);
  });

  it('bounds what stalls add, and lets it fade', () => {
    const viewer = Viewer.watching(HOLD_BACK);
    for (let stalls = 0; stalls < 100; stalls += 1) viewer.control.handleStall();
    expect(viewer.control.target(HOLD_BACK)).toBe(HOLD_BACK + LATENCY_LIMITS.stallMost);
    const minutesToForget =
      (LATENCY_LIMITS.stallMost / LATENCY_LIMITS.stallStep) * LATENCY_LIMITS.stallFades + 1;
    viewer.watch(minutesToForget);
    expect(viewer.control.target(HOLD_BACK)).toBe(HOLD_BACK);
  });

  it('does not count time asleep as smooth playback', () => {
    const control = new LatencyControl();
    const sample = { latency: HOLD_BACK, holdBack: HOLD_BACK, ahead: 1, canChangeRate: true };
    control.handleStall();
    control.handleSample({ ...sample, now: 0 });
    control.handleSample({ ...sample, now: 3_600_000 });
    expect(control.target(HOLD_BACK)).toBeCloseTo(HOLD_BACK + LATENCY_LIMITS.stallStep);
  });
});
