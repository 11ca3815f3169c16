import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Heart } from 'lucide-react';
import { Link } from 'react-router';
import { unfollow } from '@/api/channels';
import { following, type Followed } from '@/api/following';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { LiveBadge } from '@/components/LiveBadge';
import { LiveStill } from '@/components/LiveStill';
import { Notice } from '@/components/Notice';
import rows from '@/components/Rows.module.css';
import { date } from '@/lib/format';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { SignedIn } from '../SignedIn';
import { Upcoming } from '../Upcoming';
import styles from './FollowingPage.module.css';

/** What one follows: what is live first. */
export function FollowingPage() {
  useTitle(t('following.title'));
  return <SignedIn>{() => <Following />}</SignedIn>;
}

function Following() {
  const { data, isError, refetch } = useQuery(following());
  if (data === undefined) {
    return isError ? (
      <Notice level="h1" title={t('following.error')} body={t('gate.error.body')}>
        <Button onClick={() => void refetch()}>{t('common.retry')}</Button>
      </Notice>
    ) : (
      <p role="status">{t('gate.loading')}</p>
    );
  }
  if (data.length === 0) {
    const icon = <Heart size={40} aria-hidden="true" />;
    return <Notice level="h1" icon={icon} title={t('following.none.title')} body={t('following.none.body')} />;
  }
  return (
    <div className={styles.page}>
      <h1 className={styles.heading}>{t('following.title')}</h1>
      <ul className={rows.rows} data-testid="following">
        {data.map((one) => (
          <Row key={one.channel} followed={one} />
        ))}
      </ul>
      <Upcoming />
    </div>
  );
}

function Row({ followed: { channel, title, live, thumbnail_url, followed_at } }: { readonly followed: Followed }) {
  const queries = useQueryClient();
  return (
    <li className={rows.row}>
      <Avatar name={channel} live={live} />
      {live && (
        <span className={rows.still}>
          <LiveStill channel={channel} url={thumbnail_url} sizes="112px" />
        </span>
      )}
      <div className={rows.about}>
        <strong>
          <Link to={`/@${channel}`}>{title || channel}</Link>
        </strong>
        <span>{[title && channel, t('followers.since', { when: date(followed_at) })].filter(Boolean).join(' · ')}</span>
      </div>
      {live && <LiveBadge text={t('browse.live')} />}
      <Confirm
        trigger={t('following.leave')}
        triggerLabel={t('following.leave.label', { channel })}
        title={t('following.leave.title', { channel })}
        body={t('following.leave.body')}
        confirm={t('following.leave')}
        onConfirm={async () => {
          await unfollow(channel);
          for (const queryKey of [following().queryKey, ['channels', channel]]) await queries.invalidateQueries({ queryKey });
        }}
      />
    </li>
  );
}
