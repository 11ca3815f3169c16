import { Popover } from '@base-ui/react/popover';
import { Switch } from '@base-ui/react/switch';
import { Settings2 } from 'lucide-react';
import { Confirm } from '@/components/Confirm';
import { CheckField, SelectField, TextArea } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { changeRoom, clearChat } from '../api/chat';
import type { Links, Room } from '../engine/protocol';
import type { Outcome } from '../hooks/useModeration';
import { span } from '../model/span';
import panel from './ChatPanel.module.css';
import styles from './ChatSettings.module.css';

interface Props {
  readonly channel: string;
  /** What can be changed of the room; `null` for who does not moderate. */
  readonly room: Room | null;
  readonly announce: boolean;
  readonly onAnnounce: (announce: boolean) => void;
  readonly tell: (outcome: Outcome) => void;
}

const SLOW = [0, 3, 5, 10, 30, 60, 120, 300];
const FOLLOWERS = [0, 600, 3_600, 86_400, 604_800, 2_592_000];
const EVERYBODY = 'all';
const MOST_RULES = 1_000;

/** What this page does with the chat; for moderators, how the room is set up. */
export function ChatSettings({ channel, room, announce, onAnnounce, tell }: Props) {
  return (
    <Popover.Root>
      <Popover.Trigger className={panel.tool} aria-label={t('chat.settings')} title={t('chat.settings')} data-testid="chat-settings">
        <Settings2 size={18} aria-hidden="true" />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner sideOffset={8} align="end" collisionPadding={12} className={styles.positioner}>
          <Popover.Popup className={styles.popup}>
            <Popover.Title className={styles.title}>{t('chat.settings')}</Popover.Title>
            <label className={styles.switchRow}>
              {t('chat.announce')}
              <Switch.Root checked={announce} onCheckedChange={onAnnounce} className={styles.switch}>
                <Switch.Thumb className={styles.thumb} />
              </Switch.Root>
            </label>
            {room !== null && <RoomForm channel={channel} room={room} tell={tell} />}
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

function RoomForm({ channel, room, tell }: Pick<Props, 'channel' | 'tell'> & { readonly room: Room }) {
  const { followers_only_s: followers } = room;
  return (
    <section className={styles.room} aria-label={t('chat.room.title')}>
      <h3 className={styles.heading}>{t('chat.room.title')}</h3>
      <Form
        className={styles.form}
        submit={t('chat.room.save')}
        done={t('chat.mod.done.room')}
        onSubmit={(data) => {
          const who = entered(data, 'followers_only_s');
          return changeRoom(channel, {
            slow_mode_s: Number(entered(data, 'slow_mode_s')),
            followers_only_s: who === EVERYBODY ? null : Number(who),
            links: entered(data, 'links') as Links,
            unique: data.has('unique'),
            rules: entered(data, 'rules').trim(),
          });
        }}
      >
        <SelectField name="slow_mode_s" label={t('chat.room.slow')} defaultValue={room.slow_mode_s}>
          {withChosen(SLOW, room.slow_mode_s).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? t('chat.room.off') : span(seconds)}
            </option>
          ))}
        </SelectField>
        <SelectField name="followers_only_s" label={t('chat.room.followers')} defaultValue={followers ?? EVERYBODY}>
          <option value={EVERYBODY}>{t('chat.room.followers.all')}</option>
          {withChosen(FOLLOWERS, followers ?? 0).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? t('chat.room.followers.any') : t('chat.room.followers.for', { time: span(seconds) })}
            </option>
          ))}
        </SelectField>
        <SelectField name="links" label={t('chat.room.links')} defaultValue={room.links}>
          <option value="allowed">{t('chat.room.links.allowed')}</option>
          <option value="trusted">{t('chat.room.links.trusted')}</option>
          <option value="nobody">{t('chat.room.links.nobody')}</option>
        </SelectField>
        <CheckField name="unique" label={t('chat.room.unique')} defaultChecked={room.unique} />
        <TextArea name="rules" label={t('chat.room.rules')} defaultValue={room.rules} maxLength={MOST_RULES} rows={2} />
      </Form>
      <Confirm
        trigger={t('chat.room.clear')}
        title={t('chat.room.clear.title')}
        body={t('chat.room.clear.body')}
        confirm={t('chat.room.clear.do')}
        onConfirm={async () => {
          await clearChat(channel);
          tell({ sentence: t('chat.mod.done.clear'), failed: false });
        }}
      />
    </section>
  );
}

/** The usual choices and the one that holds, in order. */
function withChosen(usual: readonly number[], chosen: number): number[] {
  return [...new Set([...usual, chosen])].sort((one, other) => one - other);
}
