import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { NameField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import styles from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { date } from '@/lib/format';
import { t } from '@/text/t';
import { block, blocked, followers, unblock } from '../api/studio';

/** Who may not follow the channel. */
export function Blocked({ channel }: { readonly channel: string }) {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(blocked(channel));
  const queries = useQueryClient();
  const refresh = async () => {
    for (const { queryKey } of [blocked(channel), followers(channel)]) await queries.invalidateQueries({ queryKey });
  };
  const list = data?.pages.flatMap((page) => page.items);
  return (
    <Panel title={t('blocked.title')} hint={t('blocked.hint')}>
      <ListState query={{ data: list, isError, refetch }} empty={t('blocked.none')}>
        {(people) => (
          <ul className={styles.rows} data-testid="blocked">
            {people.map(({ name, display_name, avatar_url, blocked_at }) => (
              <li key={name} className={styles.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={styles.about}>
                  <strong>{display_name}</strong>
                  <span>{[name, t('followers.since', { when: date(blocked_at) })].join(' · ')}</span>
                </div>
                <Confirm
                  trigger={t('blocked.remove')}
                  triggerLabel={t('blocked.remove.label', { name })}
                  title={t('blocked.remove.title', { name })}
                  body={t('blocked.remove.body')}
                  confirm={t('blocked.remove')}
                  onConfirm={async () => {
                    await unblock(channel, name);
                    await refresh();
                  }}
                />
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
      <Form
        submit={t('blocked.add')}
        clears
        onSubmit={async (data) => {
          await block(channel, entered(data, 'name').trim().toLowerCase());
          await refresh();
        }}
      >
        <NameField name="name" label={t('blocked.name')} />
      </Form>
    </Panel>
  );
}
