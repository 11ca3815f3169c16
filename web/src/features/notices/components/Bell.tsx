import { Popover } from '@base-ui/react/popover';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Bell as BellIcon, Settings } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Link } from 'react-router';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { ListState } from '@/components/ListState';
import { ago } from '@/lib/format';
import { t } from '@/text/t';
import { enabled, notices, readThrough, turn, unread, type Notice } from '../api/notices';
import styles from './Bell.module.css';

/** The server counts no further than this. */
const COUNTED = 100;

/** How many notices are new; behind it, which. For somebody who is signed in. */
export function Bell() {
  const { data: count = 0 } = useQuery(unread());
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger className={styles.trigger} aria-label={label(count)} data-testid="bell">
        <BellIcon size={21} aria-hidden="true" />
        {count > 0 && (
          <span className={styles.badge} aria-hidden="true">
            {count >= COUNTED ? '99+' : count}
          </span>
        )}
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner sideOffset={8} align="end" className={styles.positioner}>
          <Popover.Popup className={styles.popup}>
            <header className={styles.header}>
              <Popover.Title className={styles.title}>{t('notices.title')}</Popover.Title>
              <Link to="/settings#notices" aria-label={t('notices.settings')} className={styles.settings} onClick={close}>
                <Settings size={18} aria-hidden="true" />
              </Link>
            </header>
            <List onLeave={close} />
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

function label(count: number): string {
  if (count === 0) return t('notices.bell');
  return count >= COUNTED ? t('notices.bell.many') : t('notices.bell.new', { count });
}

/** What is behind the bell. What was shown is read, and stays marked as new as long as one looks. */
function List({ onLeave }: { readonly onLeave: () => void }) {
  const queries = useQueryClient();
  const list = useInfiniteQuery(notices());
  const { data: on = true } = useQuery(enabled());
  const items = list.data?.pages.flatMap((page) => page.items);
  const newest = items?.[0];
  const news = newest?.read === false ? newest.id : undefined;

  useEffect(() => {
    if (news === undefined) return;
    void readThrough(news)
      .then(() => queries.setQueryData(unread().queryKey, 0))
      // It is new the next time too.
      .catch(() => undefined);
  }, [news, queries]);
  // The next time it opens, nothing old is shown first.
  useEffect(() => () => queries.removeQueries({ queryKey: notices().queryKey }), [queries]);

  if (!on) {
    return (
      <p className={styles.off}>
        {t('notices.off')}{' '}
        <Button
          look="quiet"
          onClick={() => void turn(true).then(() => queries.invalidateQueries({ queryKey: ['me', 'notices'] }))}
        >
          {t('notices.off.on')}
        </Button>
      </p>
    );
  }
  return (
    <ListState query={{ data: items, isError: list.isError, refetch: list.refetch }} empty={t('notices.empty')}>
      {(all) => (
        <>
          <ul className={styles.list}>
            {all.map((notice) => (
              <li key={notice.id}>
                <Item notice={notice} onLeave={onLeave} />
              </li>
            ))}
          </ul>
          {list.hasNextPage && (
            <Button look="quiet" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
              {t('notices.more')}
            </Button>
          )}
        </>
      )}
    </ListState>
  );
}

function Item({ notice, onLeave }: { readonly notice: Notice; readonly onLeave: () => void }) {
  const { channel, streamer, avatar_url, title, at, live, read } = notice;
  return (
    <Link to={`/@${channel}`} className={styles.item} data-new={!read} data-testid={`notice-${channel}`} onClick={onLeave}>
      <Avatar name={channel} picture={avatar_url} live={live} />
      <span className={styles.about}>
        <strong>{t(live ? 'notices.live' : 'notices.was', { name: streamer })}</strong>
        {title !== '' && <span>{title}</span>}
        <span className={styles.when}>
          {ago(at)}
          {!read && <em className={styles.new}>{t('notices.new')}</em>}
        </span>
      </span>
    </Link>
  );
}
