import { useCallback, useEffect, useRef, useState } from 'react';

const SLEEPS_AFTER_MS = 2_600;

/** Whether the person is about: true for a while after each {@link wake}, or always while `held`. */
export function useAwake(held: boolean) {
  const [awake, setAwake] = useState(true);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const sleep = useCallback(() => {
    clearTimeout(timer.current);
    setAwake(false);
  }, []);
  const wake = useCallback(() => {
    clearTimeout(timer.current);
    setAwake(true);
    timer.current = setTimeout(sleep, SLEEPS_AFTER_MS);
  }, [sleep]);
  useEffect(() => {
    timer.current = setTimeout(sleep, SLEEPS_AFTER_MS);
    return () => clearTimeout(timer.current);
  }, [sleep]);
  return { awake: awake || held, wake, sleep };
}
