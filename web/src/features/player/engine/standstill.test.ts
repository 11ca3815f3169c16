import { describe, expect, it } from 'vitest';
import { Standstill } from './standstill';

/** The times, in seconds, at which it asks for a fresh start, sampled every quarter second. */
function asked(standstill: Standstill, seconds: number, at: (second: number) => [playhead: number, to: number] | null) {
  const times: number[] = [];
  for (let now = 0; now <= seconds; now += 0.25) {
    const moment = at(now);
    if (moment === null) standstill.handleRest();
    else if (standstill.handleSample({ now: now * 1000, playhead: moment[0], bufferedTo: moment[1] })) times.push(now);
  }
  return times;
}

describe('Standstill', () => {
  it('asks for a fresh start after ten seconds, and twice as patiently each time after', () => {
    expect(asked(new Standstill(), 200, () => [95.64, 16.35])).toEqual([10, 30, 70, 130, 190]);
  });

  it('is content while the playhead or the buffer moves', () => {
    expect(asked(new Standstill(), 120, (now) => [now, 10])).toEqual([]);
    expect(asked(new Standstill(), 120, (now) => [0, Math.floor(now / 9)])).toEqual([]);
  });

  it('counts anew after a rest', () => {
    expect(asked(new Standstill(), 25, (now) => (now === 8 ? null : [1, 2]))).toEqual([18.25]);
  });

  it('is as impatient as at first once something has moved', () => {
    expect(asked(new Standstill(), 62, (now) => [now < 40 ? 0 : 1, 2])).toEqual([10, 30, 50]);
  });
});
