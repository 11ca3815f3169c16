import { describe, expect, it } from 'vitest';
import { colourOf, contrast, GROUND } from './colour';

const ids = Array.from({ length: 2_000 }, (_, n) => `019a2f00-0000-7000-8000-${n.toString(16).padStart(12, '0')}`);

describe('colourOf', () => {
  it.each(['dark', 'light'] as const)('is readable on every %s ground', (theme) => {
    const worst = Math.min(...ids.map((id) => contrast(colourOf(id, theme), GROUND[theme])));
    expect(worst).toBeGreaterThanOrEqual(4.5);
  });

  it('stays the same for a person, and differs between most', () => {
    expect(colourOf('ada')).toBe(colourOf('ada'));
    expect(new Set(ids.map((id) => colourOf(id))).size).toBeGreaterThan(1_000);
  });
});

it('measures contrast as WCAG does', () => {
  expect(contrast('#ffffff', '#000000')).toBeCloseTo(21);
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 1);
});
