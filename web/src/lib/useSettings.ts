import { useCallback, useState } from 'react';
import { readSettings, writeSettings, type Settings } from './settings';

/** The remembered settings and how to change them. */
export function useSettings(): readonly [Settings, (change: Partial<Settings>) => void] {
  const [settings, setSettings] = useState(() => readSettings());
  const change = useCallback((part: Partial<Settings>) => {
    writeSettings(part);
    setSettings((current) => ({ ...current, ...part }));
  }, []);
  return [settings, change];
}
