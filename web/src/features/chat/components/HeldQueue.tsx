import { Check, X } from 'lucide-react';
import { t } from '@/text/t';
import type { Chat } from '../engine/chat';
import type { Held } from '../engine/protocol';
import { useHeld } from '../hooks/useHeld';
import type { Outcome } from '../hooks/useModeration';
import { Badges } from './Badges';
import { MessageText } from './MessageText';
import styles from './HeldQueue.module.css';

interface Props {
  readonly channel: string;
  readonly chat: Chat;
  readonly self: string | null;
  readonly tell: (outcome: Outcome | null) => void;
}

/** Where everything waits there is nothing to say; reasons that this page does not know are passed over. */
const WHY: Readonly<Record<string, string>> = {
  link: t('chat.held.link'),
  blocked_term: t('chat.held.term'),
  new_person: t('chat.held.new'),
};

/** Messages that wait until somebody who moderates lets them through; nothing while none do. */
export function HeldQueue({ channel, chat, self, tell }: Props) {
  const { waiting, decide } = useHeld(channel, chat, tell);
  return (
    <>
      <span className="visually-hidden" role="status">
        {waiting.length > 0 && title(waiting.length)}
      </span>
      {waiting.length > 0 && (
        <section className={styles.queue} aria-label={t('chat.held.label')} data-testid="chat-held">
          <h3 className={styles.title}>{title(waiting.length)}</h3>
          <ul className={styles.list}>
            {waiting.map((one) => (
              <Row key={one.message.id} held={one} self={self} onDecide={(decision) => decide(one, decision)} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

const title = (count: number) => (count === 1 ? t('chat.held.one') : t('chat.held.many', { count }));

interface RowProps {
  readonly held: Held;
  readonly self: string | null;
  readonly onDecide: (decision: 'allow' | 'deny') => void;
}

function Row({ held: { message, why }, self, onDecide }: RowProps) {
  const name = message.author?.display_name ?? '';
  const because = WHY[why];
  return (
    <li className={styles.row}>
      <p className={styles.text}>
        <Badges badges={message.author?.badges ?? []} />
        <strong>{name}</strong>: <MessageText text={message.text} mentions={message.mentions} self={self} />
        {because !== undefined && <span className={styles.why}>{because}</span>}
      </p>
      <button type="button" className={styles.allow} aria-label={t('chat.held.allow.label', { name })} onClick={() => onDecide('allow')}>
        <Check size={16} aria-hidden="true" />
        {t('chat.held.allow')}
      </button>
      <button type="button" className={styles.deny} aria-label={t('chat.held.deny.label', { name })} onClick={() => onDecide('deny')}>
        <X size={16} aria-hidden="true" />
        {t('chat.held.deny')}
      </button>
    </li>
  );
}
