import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { NameField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { date } from '@/lib/format';
import { t } from '@/text/t';
import { appoint, dismiss, followers, moderators } from '../api/studio';
import styles from '@/components/Rows.module.css';

/** Who moderates the channel. */
export function Moderators({ channel }: { readonly channel: string }) {
  const list = useQuery(moderators(channel));
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: moderators(channel).queryKey });
  return (
    <Panel title={t('moderators.title')} hint={t('moderators.hint')}>
      <ListState query={list} empty={t('moderators.none')}>
        {(people) => (
          <ul className={styles.rows}>
            {people.map(({ name, display_name, avatar_url }) => (
              <li key={name} className={styles.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={styles.about}>
                  <strong>{display_name}</strong>
                  <span>{name}</span>
                </div>
                <Confirm
                  trigger={t('moderators.remove')}
                  triggerLabel={t('moderators.remove.label', { name })}
                  title={t('moderators.remove.title', { name })}
                  body={t('moderators.remove.body')}
                  confirm={t('moderators.remove')}
                  onConfirm={async () => {
                    await dismiss(channel, name);
                    await refresh();
                  }}
                />
              </li>
            ))}
          </ul>
        )}
      </ListState>
      <Form
        submit={t('moderators.add')}
        clears
        onSubmit={async (data) => {
          await appoint(channel, entered(data, 'name').trim().toLowerCase());
          await refresh();
        }}
      >
        <NameField name="name" label={t('moderators.name')} />
      </Form>
    </Panel>
  );
}

/** Who follows the channel, newest first. */
export function Followers({ channel }: { readonly channel: string }) {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(followers(channel));
  const list = data?.pages.flatMap((page) => page.items);
  return (
    <Panel title={t('followers.title')}>
      <ListState query={{ data: list, isError, refetch }} empty={t('followers.none')}>
        {(people) => (
          <ul className={styles.rows}>
            {people.map(({ name, display_name, avatar_url, followed_at }) => (
              <li key={name} className={styles.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={styles.about}>
                  <strong>{display_name}</strong>
                  <span>{name}</span>
                </div>
                <span className={styles.side}>{t('followers.since', { when: date(followed_at) })}</span>
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
    </Panel>
  );
}
