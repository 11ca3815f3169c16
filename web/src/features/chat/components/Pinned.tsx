import { Pin, X } from 'lucide-react';
import { useState } from 'react';
import { t } from '@/text/t';
import type { Message } from '../engine/protocol';
import { MessageText } from './MessageText';
import styles from './Pinned.module.css';

interface Props {
  readonly message: Message;
  readonly self: string | null;
  /** Absent for who does not moderate. */
  readonly onUnpin?: (() => void) | undefined;
}

/** The pinned message, until one hides it. */
export function Pinned({ message, self, onUnpin }: Props) {
  const [hidden, setHidden] = useState(false);
  if (hidden) return null;
  return (
    <aside className={styles.pinned} aria-label={t('chat.pinned')}>
      <div className={styles.body}>
        <p className={styles.by}>
          <Pin size={13} aria-hidden="true" />
          {message.author === null ? t('chat.pinned') : t('chat.pinned.by', { name: message.author.display_name })}
          {onUnpin !== undefined && (
            <button type="button" className={styles.unpin} onClick={onUnpin}>
              {t('chat.pinned.unpin')}
            </button>
          )}
        </p>
        <p className={styles.text}>
          <MessageText text={message.text} mentions={message.mentions} self={self} />
        </p>
      </div>
      <button type="button" className={styles.hide} aria-label={t('chat.pinned.hide')} onClick={() => setHidden(true)}>
        <X size={16} aria-hidden="true" />
      </button>
    </aside>
  );
}
