import { shape } from './shape';

/** What this browser remembers between visits. */
export interface Settings {
  /** Loudness, 0 to 1. */
  readonly volume: number;
  /** The person turned the sound off; not set when only the browser insisted on it. */
  readonly muted: boolean;
  readonly theatre: boolean;
  /** Single-key shortcuts (WCAG 2.2 SC 2.1.4 wants them to be switchable). */
  readonly shortcuts: boolean;
  readonly stats: boolean;
  /** The picture that was chosen: lines of it, `source`, `audio`, or `auto`. */
  readonly quality: 'auto' | 'source' | 'audio' | number;
  /** Bits per second that the line carried the last time something was played. */
  readonly bandwidth: number | null;
  /** The chat stands beside the player. */
  readonly chat: boolean;
  /** New messages of the chat are read to screen readers. */
  readonly announceChat: boolean;
}

export const DEFAULT_SETTINGS: Settings = {
  volume: 0.8,
  muted: false,
  theatre: false,
  shortcuts: true,
  stats: false,
  quality: 'auto',
  bandwidth: null,
  chat: true,
  announceChat: true,
};

const KEY = 'millrace.settings';

/** Reads the settings; what is missing, foreign or out of bounds becomes the default. */
export function readSettings(storage: Pick<Storage, 'getItem'> | null = browserStorage()): Settings {
  let stored: unknown;
  try {
    stored = JSON.parse(storage?.getItem(KEY) ?? '{}');
  } catch {
    stored = {};
  }
  const from = shape.record(stored);
  return {
    volume: shape.number(from.volume, 0, 1) ?? DEFAULT_SETTINGS.volume,
    muted: shape.boolean(from.muted) ?? DEFAULT_SETTINGS.muted,
    theatre: shape.boolean(from.theatre) ?? DEFAULT_SETTINGS.theatre,
    shortcuts: shape.boolean(from.shortcuts) ?? DEFAULT_SETTINGS.shortcuts,
    stats: shape.boolean(from.stats) ?? DEFAULT_SETTINGS.stats,
    quality: qualityOf(from.quality),
    bandwidth: shape.number(from.bandwidth, 50_000, 1e9) ?? DEFAULT_SETTINGS.bandwidth,
    chat: shape.boolean(from.chat) ?? DEFAULT_SETTINGS.chat,
    announceChat: shape.boolean(from.announceChat) ?? DEFAULT_SETTINGS.announceChat,
  };
}

function qualityOf(value: unknown): Settings['quality'] {
  if (value === 'source' || value === 'audio') return value;
  return shape.number(value, 1, 8192) ?? DEFAULT_SETTINGS.quality;
}

/** Changes some settings and keeps the others. A browser that refuses storage just forgets. */
export function writeSettings(
  change: Partial<Settings>,
  storage: Pick<Storage, 'getItem' | 'setItem'> | null = browserStorage(),
): Settings {
  const settings = { ...readSettings(storage), ...change };
  try {
    storage?.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Private windows and full disks: the setting then lasts as long as the page.
  }
  return settings;
}

/** Reading `localStorage` itself throws where cookies are blocked, as in many embedded pages. */
function browserStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
