import { useEffect, useState } from 'react';

/** Whole seconds until `until` (Unix milliseconds), counting down; 0 from then on. */
export function useCountdown(until: number): number {
  const [now, setNow] = useState(() => Date.now());
  const left = Math.max(0, Math.ceil((until - now) / 1_000));
  useEffect(() => {
    // Also for a moment that has passed: what is known of the time may be older than it.
    const renew = () => {
      setNow(Date.now());
      if (Date.now() >= until) clearInterval(timer);
    };
    const timer = setInterval(renew, 250);
    const first = setTimeout(renew);
    return () => {
      clearInterval(timer);
      clearTimeout(first);
    };
  }, [until]);
  return left;
}
