import { t } from '@/text/t';

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

/** Writes a span as people set it: `30 s`, `10 min`, `2 h`, `7 days`. */
export function span(seconds: number): string {
  if (seconds === DAY) return t('chat.time.day');
  if (seconds >= 2 * DAY) return t('chat.time.days', { count: Math.round(seconds / DAY) });
  if (seconds >= HOUR && seconds % HOUR === 0) return t('chat.time.hours', { count: seconds / HOUR });
  if (seconds >= 2 * HOUR) return t('chat.time.hours', { count: Math.round(seconds / HOUR) });
  if (seconds >= 2 * MINUTE || seconds === MINUTE) return t('chat.time.minutes', { count: Math.round(seconds / MINUTE) });
  return t('chat.time.seconds', { count: seconds });
}
