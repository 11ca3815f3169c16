import { Heart, Radio, Reply } from 'lucide-react';
import { memo, type ReactNode } from 'react';
import { Link } from 'react-router';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import type { Entry } from '../engine/chat-log';
import type { Author, Message, Quote } from '../engine/protocol';
import { colourOf } from '../model/colour';
import { Badges } from './Badges';
import { MessageText } from './MessageText';
import styles from './MessageRow.module.css';

interface Props {
  readonly entry: Entry;
  readonly self: string | null;
  /** Whether the tab key stops in this row. */
  readonly active: boolean;
  readonly onPerson: (author: Author, anchor: HTMLElement) => void;
  /** What can be done with it; only for the row that is pointed at or focused. */
  readonly actions?: ReactNode;
}

const timeOf = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** One line of the log. */
export const MessageRow = memo(function MessageRow({ entry, self, active, onPerson, actions }: Props) {
  const { message, removed } = entry;
  const { author, kind, mentions } = message;
  if (author === null) {
    return (
      <p className={styles.system} data-news={message.news?.kind}>
        {message.news?.kind === 'follow' && <Heart size={14} aria-hidden="true" />}
        {message.news?.kind === 'raid' && <Radio size={14} aria-hidden="true" />}
        <MessageText text={message.text} mentions={mentions} self={self} />
        {message.news?.kind === 'raid' && (
          <>
            {' '}
            <Link to={`/@${message.news.channel}`}>@{message.news.channel}</Link>
          </>
        )}
      </p>
    );
  }
  const mentioned = !removed && self !== null && mentions.includes(self) && author.name !== self;
  return (
    <div className={styles.message} data-mentioned={mentioned || undefined}>
      {message.reply_to !== undefined && !removed && <QuoteLine quote={message.reply_to} />}
      {mentioned && <span className="visually-hidden">{t('chat.mentions.you')}: </span>}
      <When message={message} />
      <Name author={author} active={active} onPerson={onPerson} />
      {kind === 'action' ? ' ' : <span className={styles.colon}>: </span>}
      {removed ? (
        <em className={styles.removed}>{t('chat.removed')}</em>
      ) : (
        <span className={styles.said} style={kind === 'action' ? { color: colourOf(author.id) } : undefined}>
          <MessageText text={message.text} mentions={mentions} self={self} />
        </span>
      )}
      {actions}
    </div>
  );
});

function When({ message }: { readonly message: Message }) {
  const at = Date.parse(message.at);
  if (Number.isNaN(at)) return null;
  return (
    <time className={styles.when} dateTime={message.at} title={dateTime(message.at)}>
      {timeOf.format(at)}
    </time>
  );
}

interface NameProps {
  readonly author: Author;
  readonly active: boolean;
  readonly onPerson: (author: Author, anchor: HTMLElement) => void;
}

/** Badges and the name; a click shows who it is. */
function Name({ author, active, onPerson }: NameProps) {
  return (
    <>
      <Badges badges={author.badges} />
      <button
        type="button"
        className={styles.name}
        style={{ color: colourOf(author.id) }}
        title={author.display_name === author.name ? undefined : `@${author.name}`}
        tabIndex={active ? 0 : -1}
        onClick={(event) => onPerson(author, event.currentTarget)}
      >
        <bdi>{author.display_name}</bdi>
      </button>
    </>
  );
}

export function QuoteLine({ quote }: { readonly quote: Quote }) {
  return (
    <p className={styles.quote}>
      <Reply size={13} aria-hidden="true" />
      <span className="visually-hidden">{t('chat.quote', { name: quote.name })}: </span>
      <span className={styles.quoted}>
        <bdi aria-hidden="true" className={styles.quotedName}>
          @{quote.name}
        </bdi>{' '}
        <bdi>{quote.text === '' ? t('chat.quote.removed') : quote.text}</bdi>
      </span>
    </p>
  );
}
