/** Writes a span of seconds as a clock: `4:05`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number) => n.toString().padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Writes bits per second: `840 kbit/s`, `6.2 Mbit/s`. */
export function bitrate(bitsPerSecond: number): string {
  if (bitsPerSecond < 1_000_000) return `${Math.round(bitsPerSecond / 1000)} kbit/s`;
  return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
}

/** Writes a head count in few letters: `7`, `1.2K`. */
export function count(n: number): string {
  return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(n);
}

/** Writes a frame rate without needless digits: `60`, `29.97`. */
export function frameRate(framesPerSecond: number): string {
  return Number(framesPerSecond.toFixed(2)).toString();
}

/** Names a picture size as viewers do: `1080p60`, `720p` (30 and below go without saying). */
export function pictureName(height: number, framesPerSecond?: number | null): string {
  const rate = (framesPerSecond ?? 0) > 31 ? Math.round(framesPerSecond ?? 0) : '';
  return `${height}p${rate}`;
}

/** Shortens what encoders call themselves: `obs-output module (libobs version 29.0.2)` is `OBS 29.0.2` to people. */
export function encoderName(encoder: string): string {
  const obs = /libobs version ([\d.]+)/.exec(encoder);
  return obs?.[1] === undefined ? encoder : `OBS ${obs[1].replace(/\.$/, '')}`;
}

const CODECS: readonly [RegExp, string][] = [
  [/^avc[13]|^h264$/i, 'H.264'],
  [/^(hvc1|hev1|hevc|h265)/i, 'HEVC'],
  [/^av01|^av1$/i, 'AV1'],
  [/^vp09|^vp9$/i, 'VP9'],
  [/^mp4a\.40|^aac$/i, 'AAC'],
  [/^mp4a\.(69|6b)|^mp3$/i, 'MP3'],
  [/^opus$/i, 'Opus'],
];

/** Names a codec string (`avc1.64002a`) as people know it (`H.264`); an unknown one stays as it is. */
export function codecName(codec: string): string {
  return CODECS.find(([pattern]) => pattern.test(codec))?.[1] ?? codec;
}

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** Writes a time as people say it: `just now`, `5 minutes ago`, `yesterday`; a date after a month. */
export function ago(time: string, now: number = Date.now()): string {
  const seconds = (now - Date.parse(time)) / 1_000;
  if (seconds > 30 * 86_400) return date(time);
  for (const [unit, length] of STEPS) {
    if (seconds >= length) {
      return new Intl.RelativeTimeFormat('en', { numeric: 'auto' }).format(-Math.floor(seconds / length), unit);
    }
  }
  return 'just now';
}

/** Writes a day: `21 Nov 2026`. */
export function date(time: string): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' }).format(new Date(time));
}

/** Writes a day and a time of the day: `21 Nov 2026, 19:30`. */
export function dateTime(time: string): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(time));
}

/** Writes a time that is near: `Sat 28 Nov, 19:30`. */
export function weekdayTime(time: string): string {
  const form = { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' } as const;
  return new Intl.DateTimeFormat('en-GB', form).format(new Date(time));
}
