import { describe, expect, it } from 'vitest';
import { firstEstimate, pictureFor, saverCap, wishOf } from './wish';

const picture = (height: number, source = false) => ({ height, source });
const ladder = [picture(360), picture(480), picture(720), picture(1080, true)];

describe('a wish', () => {
  it('is the same picture in another broadcast, or the next below it', () => {
    expect(pictureFor(720, ladder)).toBe(2);
    expect(pictureFor(600, ladder)).toBe(1);
    expect(pictureFor(144, ladder)).toBe(0);
    expect(pictureFor('source', ladder)).toBe(3);
    expect(pictureFor(1080, [picture(360), picture(720, true)])).toBe(1);
  });

  it('is left to the player where there is no choice', () => {
    expect(pictureFor('auto', ladder)).toBeNull();
    expect(pictureFor('audio', ladder)).toBeNull();
    expect(pictureFor(360, [picture(1080, true)])).toBeNull();
  });

  it('is what was chosen in the menu', () => {
    const quality = { frameRate: 30, height: 720 };
    expect(wishOf({ ...quality, id: 1, source: false })).toBe(720);
    expect(wishOf({ ...quality, id: 2, source: true })).toBe('source');
    expect(wishOf({ ...quality, id: 2, height: null, source: false })).toBe('source');
    expect(wishOf({ id: 'auto', height: null, frameRate: null, source: false })).toBe('auto');
    expect(wishOf({ id: 'audio', height: null, frameRate: null, source: false })).toBe('audio');
  });
});

describe('a person who saves data', () => {
  it('gets 480 lines at most, or the least there is', () => {
    expect(saverCap(ladder)).toBe(1);
    expect(saverCap([picture(720), picture(1080, true)])).toBe(0);
  });
});

describe('the first estimate of a line', () => {
  it('is the last measurement, else what the browser says with care, else a guess', () => {
    expect(firstEstimate(2_000_000, 10)).toBe(2_000_000);
    expect(firstEstimate(null, 1.5)).toBe(1_200_000);
    expect(firstEstimate(null, 10)).toBe(10_000_000);
    expect(firstEstimate(null, 0)).toBe(5_000_000);
    expect(firstEstimate(null, undefined)).toBe(5_000_000);
  });
});
