import { ArrowDown } from 'lucide-react';
import { useCallback, useMemo, useState, type KeyboardEvent } from 'react';
import { count } from '@/lib/format';
import { t } from '@/text/t';
import type { Chat, ChatView } from '../engine/chat';
import type { Author, Message } from '../engine/protocol';
import type { Moderation } from '../hooks/useModeration';
import { useStretch } from '../hooks/useStretch';
import { MessageRow } from './MessageRow';
import { PendingRow } from './PendingRow';
import { RowActions } from './RowActions';
import styles from './MessageList.module.css';

interface Props {
  readonly chat: Chat;
  readonly view: ChatView;
  readonly onReply: (message: Message) => void;
  readonly onPerson: (author: Author, anchor: HTMLElement) => void;
  /** Takes a message away; one's own, or any for who moderates. */
  readonly onRemove: (message: Message) => void;
  readonly moderation?: Moderation | undefined;
}

/** One's own message keeps its place, and its element, when the room says it. */
const keyOf = ({ id, nonce }: Message): string => nonce ?? id;

/** What was said, newest below. Only what shows is drawn. */
export function MessageList({ chat, view, onReply, onPerson, onRemove, moderation }: Props) {
  const { entries, pending, you, older, unseen } = view;
  const self = you?.name ?? null;
  const keys = useMemo(
    () => [...entries.map(({ message }) => keyOf(message)), ...pending.map(({ nonce }) => nonce)],
    [entries, pending],
  );
  const follow = useCallback((following: boolean) => chat.follow(following), [chat]);
  const loadOlder = useCallback(() => void chat.loadOlder(), [chat]);
  const wantOlder = useCallback(() => {
    if (chat.view.older === 'more') void chat.loadOlder();
  }, [chat]);
  const { first, end, before, after, following, scroller, list, onScroll, toEnd } = useStretch(keys, {
    onFollow: follow,
    onTop: wantOlder,
  });

  /** The row that the pointer is on, and the one that keeps its menu open. */
  const [pointed, setPointed] = useState<string | null>(null);
  const [menu, setMenu] = useState<string | null>(null);
  /** The row in which the tab key stops; without one, the last. */
  const [focused, setFocused] = useState<string | null>(null);
  const stop = focused !== null && keys.includes(focused, first) ? focused : keys[end - 1];

  const move = (event: KeyboardEvent<HTMLOListElement>) => {
    const row = (event.target as Element).closest('li');
    const next = {
      ArrowUp: row?.previousElementSibling,
      ArrowDown: row?.nextElementSibling,
      Home: row?.parentElement?.firstElementChild,
      End: row?.parentElement?.lastElementChild,
    }[event.key];
    if (!['ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key)) return;
    // The player has meanings of its own for these.
    event.stopPropagation();
    event.preventDefault();
    if (next instanceof HTMLElement && next.dataset.key !== undefined) next.focus();
  };

  const maySend = you?.may_send === true;
  return (
    <div className={styles.frame}>
      <div
        ref={scroller}
        className={styles.scroller}
        role="log"
        aria-live="off"
        aria-label={t('chat.log')}
        aria-busy={!view.welcomed}
        data-testid="chat-log"
        onScroll={onScroll}
      >
        <div className={styles.top}>
          {view.welcomed && older === 'more' && entries.length > 0 && (
            <button type="button" className={styles.older} onClick={loadOlder}>
              {t('chat.older')}
            </button>
          )}
          {older === 'loading' && <p role="status">{t('chat.older.loading')}</p>}
          {older === 'failed' && (
            <p role="alert">
              {t('chat.older.failed')}{' '}
              <button type="button" className={styles.older} onClick={loadOlder}>
                {t('common.retry')}
              </button>
            </p>
          )}
          {older === 'none' && entries.length > 20 && <p>{t('chat.older.none')}</p>}
        </div>
        {view.welcomed && keys.length === 0 && (
          <p className={styles.empty}>{t(you?.may_send ? 'chat.empty' : 'chat.empty.reader')}</p>
        )}
        <ol
          ref={list}
          className={styles.list}
          style={{ paddingTop: before, paddingBottom: after }}
          onKeyDown={move}
          onPointerLeave={() => setPointed(null)}
        >
          {keys.slice(first, end).map((key, index) => {
            const entry = entries[first + index];
            const mine = entry === undefined ? pending[first + index - entries.length] : undefined;
            const lit = key === menu || (menu === null && (key === pointed || key === focused));
            const author = entry?.message.author;
            return (
              <li
                key={key}
                className={styles.row}
                data-key={key}
                data-lit={lit || undefined}
                tabIndex={key === stop ? 0 : -1}
                onPointerEnter={() => setPointed(key)}
                onFocus={() => setFocused(key)}
                onBlur={(event) => {
                  if (!event.currentTarget.contains(event.relatedTarget)) setFocused(null);
                }}
              >
                {entry !== undefined && (
                  <MessageRow
                    entry={entry}
                    self={self}
                    active={key === stop}
                    onPerson={onPerson}
                    actions={
                      lit && author != null && !entry.removed ? (
                        <RowActions
                          message={entry.message}
                          author={author}
                          self={author.name === self}
                          onReply={maySend ? () => onReply(entry.message) : undefined}
                          onRemove={() => onRemove(entry.message)}
                          moderation={moderation}
                          onMenu={(open) => setMenu(open ? key : null)}
                        />
                      ) : undefined
                    }
                  />
                )}
                {mine !== undefined && (
                  <PendingRow
                    pending={mine}
                    you={you}
                    onAgain={() => chat.again(mine.nonce)}
                    onDrop={() => chat.drop(mine.nonce)}
                  />
                )}
              </li>
            );
          })}
        </ol>
      </div>
      {!following && (
        <button type="button" className={styles.unseen} data-news={unseen > 0} onClick={toEnd} data-testid="chat-unseen">
          <ArrowDown size={16} aria-hidden="true" />
          {unseenText(unseen)}
        </button>
      )}
    </div>
  );
}

function unseenText(unseen: number): string {
  if (unseen === 0) return t('chat.unseen.none');
  return unseen === 1 ? t('chat.unseen.one') : t('chat.unseen.many', { count: count(unseen) });
}
