import { useEffect, useState } from 'react';

/** The time as Unix milliseconds, renewed every second: for clocks that count. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
