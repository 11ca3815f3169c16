import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { TextField } from '@/components/Field';
import { Form, failureOf } from '@/components/Form';
import { ListState } from '@/components/ListState';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import { lift } from '../api/chat';
import { addSubscriber, dishonour, honour, managed, removeSubscriber, sanctions, subscribers } from '../api/manage';
import styles from './Manage.module.css';

interface Props {
  readonly channel: string;
  /** Only the owner honours people. */
  readonly owns: boolean;
}

/** Who may not write in the room, whom it honours, and who subscribes to the channel. */
export function ManagePeople({ channel, owns }: Props) {
  return (
    <>
      <Sanctioned channel={channel} />
      <Honoured channel={channel} owns={owns} />
      <Subscribed channel={channel} owns={owns} />
    </>
  );
}

function Sanctioned({ channel }: { readonly channel: string }) {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(sanctions(channel));
  const queries = useQueryClient();
  const [error, run] = useDeed();
  const [now] = useState(() => Date.now());
  const list = data?.pages.flatMap((page) => page.items).filter(({ until }) => until === null || Date.parse(until) > now);
  return (
    <section className={styles.section}>
      <h3 className={styles.heading}>{t('chat.banned.title')}</h3>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <ListState query={{ data: list, isError, refetch }} empty={t('chat.banned.none')}>
        {(people) => (
          <ul className={rows.rows} data-testid="chat-banned">
            {people.map(({ name, display_name, avatar_url, until, reason }) => (
              <li key={name} className={rows.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={rows.about}>
                  <strong>{display_name}</strong>
                  <span>
                    {[until === null ? t('chat.banned.forever') : t('chat.banned.until', { time: dateTime(until) }), reason]
                      .filter(Boolean)
                      .join(' · ')}
                  </span>
                </div>
                <Button
                  look="quiet"
                  aria-label={t('chat.banned.lift.label', { name: display_name })}
                  onClick={() =>
                    run(async () => {
                      await lift(channel, name);
                      await queries.invalidateQueries({ queryKey: sanctions(channel).queryKey });
                    })
                  }
                >
                  {t('chat.banned.lift')}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </ListState>
      {hasNextPage && (
        <Button look="quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('history.more')}
        </Button>
      )}
    </section>
  );
}

function Honoured({ channel, owns }: Props) {
  const { data, isError, refetch } = useQuery(managed(channel));
  const queries = useQueryClient();
  const [error, run] = useDeed();
  const refresh = () => queries.invalidateQueries({ queryKey: managed(channel).queryKey });
  return (
    <section className={styles.section}>
      <h3 className={styles.heading}>{t('chat.vips.title')}</h3>
      <p className={styles.hint}>{t(owns ? 'chat.vips.hint' : 'chat.vips.hint.moderator')}</p>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <ListState query={{ data: data && (data.vips ?? []), isError, refetch }} empty={t('chat.vips.none')}>
        {(people) => (
          <ul className={rows.rows} data-testid="chat-vips">
            {people.map(({ name, display_name, avatar_url }) => (
              <li key={name} className={rows.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={rows.about}>
                  <strong>{display_name}</strong>
                  <span>{name}</span>
                </div>
                {owns && (
                  <Button
                    look="quiet"
                    aria-label={t('chat.vips.remove.label', { name: display_name })}
                    onClick={() =>
                      run(async () => {
                        await dishonour(channel, name);
                        await refresh();
                      })
                    }
                  >
                    {t('chat.vips.remove')}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </ListState>
      {owns && (
        <Form
          submit={t('chat.vips.add')}
          clears
          onSubmit={async (data) => {
            await honour(channel, personIn(data));
            await refresh();
          }}
        >
          <TextField
            name="name"
            label={t('chat.vips.name')}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={26}
            required
          />
        </Form>
      )}
    </section>
  );
}

function Subscribed({ channel, owns }: Props) {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(subscribers(channel));
  const queries = useQueryClient();
  const [error, run] = useDeed();
  const refresh = () => queries.invalidateQueries({ queryKey: subscribers(channel).queryKey });
  return (
    <section className={styles.section}>
      <h3 className={styles.heading}>{t('chat.subscribers.title')}</h3>
      <p className={styles.hint}>{t(owns ? 'chat.subscribers.hint' : 'chat.subscribers.hint.moderator')}</p>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <ListState query={{ data: data?.pages.flatMap((page) => page.items), isError, refetch }} empty={t('chat.subscribers.none')}>
        {(people) => (
          <ul className={rows.rows} data-testid="chat-subscribers">
            {people.map(({ name, display_name, avatar_url, until }) => (
              <li key={name} className={rows.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={rows.about}>
                  <strong>{display_name}</strong>
                  <span>{until === null ? name : t('chat.subscribers.ends', { time: dateTime(until) })}</span>
                </div>
                {owns && (
                  <Button
                    look="quiet"
                    aria-label={t('chat.subscribers.remove.label', { name: display_name })}
                    onClick={() =>
                      run(async () => {
                        await removeSubscriber(channel, name);
                        await refresh();
                      })
                    }
                  >
                    {t('chat.subscribers.remove')}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </ListState>
      {hasNextPage && (
        <Button look="quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('history.more')}
        </Button>
      )}
      {owns && (
        <Form
          submit={t('chat.subscribers.add')}
          clears
          onSubmit={async (data) => {
            const day = entered(data, 'until');
            // The whole of that day, here.
            const until = day === '' ? null : new Date(`${day}T23:59:59`).toISOString();
            await addSubscriber(channel, personIn(data), until);
            await refresh();
          }}
        >
          <div className={styles.pair}>
            <TextField
              name="name"
              label={t('chat.subscribers.name')}
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={26}
              required
            />
            <TextField name="until" type="date" label={t('chat.subscribers.until')} hint={t('chat.subscribers.until.hint')} />
          </div>
        </Form>
      )}
    </section>
  );
}

/** Whom a form names. */
const personIn = (data: FormData) => entered(data, 'name').trim().replace(/^@/, '').toLowerCase();

/** Does something, and keeps the sentence of what went wrong. */
function useDeed(): readonly [string | null, (deed: () => Promise<unknown>) => void] {
  const [error, setError] = useState<string | null>(null);
  const run = (deed: () => Promise<unknown>) => {
    setError(null);
    deed().catch((caught: unknown) => setError(failureOf(caught).sentence));
  };
  return [error, run];
}
