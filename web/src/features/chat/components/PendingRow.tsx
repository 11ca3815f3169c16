import { t } from '@/text/t';
import type { Pending } from '../engine/outbox';
import type { You } from '../engine/protocol';
import { colourOf } from '../model/colour';
import { Badges } from './Badges';
import { QuoteLine } from './MessageRow';
import { MessageText } from './MessageText';
import row from './MessageRow.module.css';
import styles from './PendingRow.module.css';

interface Props {
  readonly pending: Pending;
  readonly you: You | null;
  readonly onAgain: () => void;
  readonly onDrop: () => void;
}

const NOBODY: readonly string[] = [];
const ACTION = /^\/me\s+/i;

/** A message of one's own that the room has not said yet: on its way, held, or not sent. */
export function PendingRow({ pending, you, onAgain, onDrop }: Props) {
  const { state, text, replyTo, why } = pending;
  const action = ACTION.test(text);
  return (
    <div className={row.message} data-testid={`pending-${state}`}>
      <div className={styles.said} data-state={state}>
        {replyTo !== null && <QuoteLine quote={replyTo} />}
        {you !== null && (
          <>
            <Badges badges={you.badges} />
            <span className={styles.name} style={{ color: colourOf(you.id) }}>
              {you.display_name}
            </span>
            {action ? ' ' : ': '}
          </>
        )}
        <MessageText text={text.replace(ACTION, '')} mentions={NOBODY} self={null} />
      </div>
      {state === 'waiting' && <span className="visually-hidden">{t('chat.pending')}</span>}
      {state === 'accepted' && <span className="visually-hidden">{t('chat.pending.accepted')}</span>}
      {state === 'held' && (
        <p className={styles.note} role="status">
          {why?.detail || t('chat.pending.held')}{' '}
          <button type="button" className={styles.action} onClick={onDrop}>
            {t('common.close')}
          </button>
        </p>
      )}
      {state === 'failed' && (
        <p className={styles.note} data-failed role="alert">
          {why === null ? t('chat.failed.unanswered') : `${t('chat.failed')} ${why.detail}`}{' '}
          {why?.code !== 'denied' && (
            <>
              <button type="button" className={styles.action} onClick={onAgain}>
                {t('chat.failed.again')}
              </button>{' '}
            </>
          )}
          <button type="button" className={styles.action} onClick={onDrop}>
            {t('chat.failed.drop')}
          </button>
        </p>
      )}
    </div>
  );
}
