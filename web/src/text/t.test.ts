import { describe, expect, it } from 'vitest';
import { t } from './t';

describe('t', () => {
  it('fills in the blanks of a message', () => {
    expect(t('stats.droppedOf', { dropped: 2, total: 300 })).toBe('2 of 300');
    expect(t('common.retry')).toBe('Try again');
  });
});
