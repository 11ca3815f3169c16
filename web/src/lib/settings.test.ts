import { describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS, readSettings, writeSettings } from './settings';

function storageOf(text: string | null) {
  let stored = text;
  return {
    getItem: () => stored,
    setItem: (_key: string, value: string) => {
      stored = value;
    },
  };
}

describe('settings', () => {
  it.each([
    ['nothing stored', null],
    ['not JSON', '{'],
    ['not an object', '7'],
    ['null', 'null'],
    ['values of another kind', '{"volume":"loud","muted":1,"theatre":"yes","shortcuts":null,"stats":[]}'],
    ['a volume out of bounds', '{"volume":11}'],
  ])('are the defaults with %s', (_name, text) => {
    expect(readSettings(storageOf(text))).toEqual(DEFAULT_SETTINGS);
  });

  it('keep what is not changed', () => {
    const storage = storageOf('{"volume":0.25}');
    writeSettings({ muted: true }, storage);
    expect(readSettings(storage)).toEqual({ ...DEFAULT_SETTINGS, volume: 0.25, muted: true });
  });

  it('survive a browser that refuses storage', () => {
    const refuses = {
      getItem: () => null,
      setItem: () => {
        throw new DOMException('full', 'QuotaExceededError');
      },
    };
    expect(writeSettings({ volume: 0.1 }, refuses).volume).toBe(0.1);
  });
});
