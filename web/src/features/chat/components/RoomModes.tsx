import { t } from '@/text/t';
import type { Room } from '../engine/protocol';
import { span } from '../model/span';
import styles from './RoomModes.module.css';

/** What holds for everybody in this room, in a line of few words; nothing where nothing does. */
export function RoomModes({ room }: { readonly room: Room }) {
  const modes = modesOf(room);
  if (modes.length === 0) return null;
  return (
    <ul className={styles.modes} aria-label={t('chat.modes')}>
      {modes.map((mode) => (
        <li key={mode}>{mode}</li>
      ))}
    </ul>
  );
}

function modesOf(room: Room): string[] {
  const modes: string[] = [];
  const { slow_mode_s: slow, followers_only_s: followers } = room;
  if (slow > 0) modes.push(t('chat.mode.slow', { time: span(slow) }));
  if (followers === 0) modes.push(t('chat.mode.followers'));
  else if (followers !== null) modes.push(t('chat.mode.followers.for', { time: span(followers) }));
  if (room.subscribers_only) modes.push(t('chat.mode.subscribers'));
  if (room.emote_only) modes.push(t('chat.mode.emotes'));
  if (room.unique) modes.push(t('chat.mode.unique'));
  if (room.links === 'nobody') modes.push(t('chat.mode.links'));
  if (room.account_age_s > 0) modes.push(t('chat.mode.age', { time: span(room.account_age_s) }));
  return modes;
}
