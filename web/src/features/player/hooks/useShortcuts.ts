import { useEffect, useRef } from 'react';
import { commandOf, type Command } from '../model/shortcuts';

/** Calls `run` for each keyboard shortcut while `enabled`; help (`?`) works always, so that they can be found again. */
export function useShortcuts(enabled: boolean, run: (command: Command) => void): void {
  const latest = useRef({ enabled, run });
  useEffect(() => {
    latest.current = { enabled, run };
  });
  useEffect(() => {
    const handle = (event: KeyboardEvent) => {
      const command = commandOf(event);
      if (command === null || (!latest.current.enabled && command !== 'help')) return;
      event.preventDefault();
      latest.current.run(command);
    };
    document.addEventListener('keydown', handle);
    return () => document.removeEventListener('keydown', handle);
  }, []);
}
