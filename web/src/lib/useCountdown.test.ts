import { act, renderHook } from '@testing-library/react';
import { afterEach, expect, it, vi } from 'vitest';
import { useCountdown } from './useCountdown';

afterEach(() => {
  vi.useRealTimers();
});

it('counts down to nothing, also to a moment that has passed', () => {
  vi.useFakeTimers();
  const { result, rerender } = renderHook(({ until }) => useCountdown(until), { initialProps: { until: 0 } });
  expect(result.current).toBe(0);
  act(() => {
    vi.advanceTimersByTime(5_000);
  });
  rerender({ until: Date.now() });
  act(() => {
    vi.advanceTimersByTime(1);
  });
  expect(result.current).toBe(0);
  rerender({ until: Date.now() + 3_000 });
  act(() => {
    vi.advanceTimersByTime(1);
  });
  expect(result.current).toBe(3);
  act(() => {
    vi.advanceTimersByTime(3_100);
  });
  expect(result.current).toBe(0);
});
