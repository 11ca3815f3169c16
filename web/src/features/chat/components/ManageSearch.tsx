import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { Trash2 } from 'lucide-react';
import { useState } from 'react';
import { Button } from '@/components/Button';
import { TextField } from '@/components/Field';
import { Form, failureOf } from '@/components/Form';
import { entered } from '@/lib/entered';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import { removeMessage } from '../api/chat';
import { searched, type Line, type Sought } from '../api/manage';
import { colourOf } from '../model/colour';
import styles from './Manage.module.css';

interface Props {
  readonly channel: string;
  /** Whose messages are looked for at first; empty for nobody's. */
  readonly author: string;
}

/** Looks through what was said, also for what was taken away. */
export function ManageSearch({ channel, author }: Props) {
  const [sought, setSought] = useState<Sought | null>(author === '' ? null : { author, words: '' });
  return (
    <>
      <Form
        submit={t('chat.search.do')}
        label={t('chat.manage.search')}
        onSubmit={(data) => {
          const asked = {
            author: entered(data, 'author').trim().replace(/^@/, '').toLowerCase(),
            words: entered(data, 'q').trim(),
          };
          setSought(asked.author === '' && asked.words === '' ? null : asked);
          return Promise.resolve();
        }}
      >
        <div className={styles.pair}>
          <TextField name="q" type="search" label={t('chat.search.words')} maxLength={100} autoComplete="off" />
          <TextField
            name="author"
            label={t('chat.search.author')}
            defaultValue={author}
            maxLength={26}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        </div>
      </Form>
      {sought !== null && <Found channel={channel} sought={sought} />}
    </>
  );
}

function Found({ channel, sought }: { readonly channel: string; readonly sought: Sought }) {
  const search = searched(channel, sought);
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(search);
  const queries = useQueryClient();
  const [failed, setFailed] = useState<string | null>(null);
  const lines = data?.pages.flatMap((page) => page.items) ?? [];
  const remove = (line: Line) => {
    setFailed(null);
    removeMessage(channel, line.id).then(
      () => queries.invalidateQueries({ queryKey: search.queryKey }),
      (caught: unknown) => setFailed(failureOf(caught).sentence),
    );
  };
  const sentence = failed ?? (error === null ? null : failureOf(error).sentence);
  return (
    <section aria-label={t('chat.search.found')}>
      {sentence !== null && (
        <p className={styles.error} role="alert">
          {sentence}
        </p>
      )}
      {data === undefined && error === null && (
        <p className={styles.hint} role="status">
          {t('gate.loading')}
        </p>
      )}
      {data !== undefined && lines.length === 0 && (
        <p className={styles.hint} role="status">
          {t(hasNextPage ? 'chat.search.none.yet' : 'chat.search.none')}
        </p>
      )}
      <ol className={styles.found} data-testid="chat-found">
        {lines.map((line) => (
          <Row key={line.id} line={line} onRemove={() => remove(line)} />
        ))}
      </ol>
      {hasNextPage && (
        <Button look="quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('chat.search.more')}
        </Button>
      )}
    </section>
  );
}

function Row({ line, onRemove }: { readonly line: Line; readonly onRemove: () => void }) {
  const { author, removed, text, at } = line;
  return (
    <li className={styles.line}>
      <time dateTime={at}>{dateTime(at)}</time>
      <p>
        {author && (
          <strong style={{ color: colourOf(author.id) }}>
            <bdi>{author.display_name}</bdi>{' '}
          </strong>
        )}
        <bdi>{text}</bdi> {removed === true && <span className={styles.gone}>({t('chat.search.removed')})</span>}
      </p>
      {removed !== true && (
        <button type="button" className={styles.deed} aria-label={t('chat.mod.delete')} title={t('chat.mod.delete')} onClick={onRemove}>
          <Trash2 size={16} aria-hidden="true" />
        </button>
      )}
    </li>
  );
}
