import { Menu } from '@base-ui/react/menu';
import { Ban, Clock, Pin, Reply, Shield, Trash2 } from 'lucide-react';
import { t } from '@/text/t';
import type { Author, Message } from '../engine/protocol';
import type { Moderation } from '../hooks/useModeration';
import { TIMEOUTS } from '../model/timeouts';
import styles from './RowActions.module.css';

interface Props {
  readonly message: Message;
  readonly author: Author;
  /** Absent for who may not write. */
  readonly onReply?: (() => void) | undefined;
  readonly onRemove: () => void;
  /** Absent for who does not moderate. */
  readonly moderation?: Moderation | undefined;
  /** One's own can be taken away by oneself; oneself cannot be timed out. */
  readonly self: boolean;
  readonly onMenu: (open: boolean) => void;
}

/** What can be done with a message, at its right. */
export function RowActions({ message, author, onReply, onRemove, moderation, self, onMenu }: Props) {
  const removesOwn = self && moderation === undefined;
  if (onReply === undefined && moderation === undefined && !removesOwn) return null;
  const name = author.display_name;
  return (
    <div className={styles.actions} role="group" aria-label={t('chat.message.actions', { name })}>
      {onReply !== undefined && (
        <button type="button" className={styles.action} aria-label={t('chat.reply.to', { name })} title={t('chat.reply')} onClick={onReply}>
          <Reply size={16} aria-hidden="true" />
        </button>
      )}
      {removesOwn && (
        <button type="button" className={styles.action} aria-label={t('chat.own.delete')} title={t('chat.own.delete')} onClick={onRemove}>
          <Trash2 size={15} aria-hidden="true" />
        </button>
      )}
      {moderation !== undefined && (
        <Menu.Root onOpenChange={onMenu} modal={false}>
          <Menu.Trigger className={styles.action} aria-label={t('chat.moderate', { name })} title={t('chat.moderate', { name })}>
            <Shield size={15} aria-hidden="true" />
          </Menu.Trigger>
          <Menu.Portal>
            <Menu.Positioner side="bottom" align="end" sideOffset={6} className={styles.positioner}>
              <Menu.Popup className={styles.menu}>
                <Menu.Item className={styles.item} onClick={onRemove}>
                  <Trash2 size={16} aria-hidden="true" />
                  {t('chat.mod.delete')}
                </Menu.Item>
                <Menu.Item className={styles.item} onClick={() => moderation.pin(message)}>
                  <Pin size={16} aria-hidden="true" />
                  {t('chat.mod.pin')}
                </Menu.Item>
                {!self && (
                  <>
                    <Menu.Separator className={styles.separator} />
                    {TIMEOUTS.map(({ seconds, name: time }) => (
                      <Menu.Item key={seconds} className={styles.item} onClick={() => moderation.timeOut(author, seconds)}>
                        <Clock size={16} aria-hidden="true" />
                        {t('chat.mod.timeout.for', { time })}
                      </Menu.Item>
                    ))}
                    <Menu.Separator className={styles.separator} />
                    <Menu.Item className={styles.item} data-danger onClick={() => moderation.askBan(author)}>
                      <Ban size={16} aria-hidden="true" />
                      {t('chat.mod.ban')}
                    </Menu.Item>
                  </>
                )}
              </Menu.Popup>
            </Menu.Positioner>
          </Menu.Portal>
        </Menu.Root>
      )}
    </div>
  );
}
