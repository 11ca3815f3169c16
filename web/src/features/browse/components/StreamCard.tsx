import { Eye } from 'lucide-react';
import { Link } from 'react-router';
import type { Stream } from '@/api/streams';
import { Avatar } from '@/components/Avatar';
import { LiveBadge } from '@/components/LiveBadge';
import { LiveStill } from '@/components/LiveStill';
import { clock, codecName, count, pictureName } from '@/lib/format';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import styles from './StreamCard.module.css';

/** One live channel in the list. */
export function StreamCard({ stream }: { readonly stream: Stream }) {
  const { channel, state, viewers, health, started_at } = stream;
  const now = useNow();
  const picture = health.video;
  const watching = viewers === 1 ? t('browse.viewers.one') : t('browse.viewers.many', { count: count(viewers) });
  return (
    <Link
      to={`/@${channel}`}
      className={styles.card}
      aria-label={t('browse.watch', { channel })}
      aria-describedby={`about-${channel}`}
      data-testid={`stream-${channel}`}
    >
      <span className={styles.still}>
        <LiveStill channel={channel} url={stream.thumbnail_url} sizes="(min-width: 640px) 400px, 100vw" />
        <span className={styles.top}>
          {state === 'live' ? (
            <LiveBadge text={t('browse.live')} />
          ) : (
            <LiveBadge text={t('browse.interrupted')} look="held" />
          )}
        </span>
        <span className={styles.bottom}>
          <span className={styles.chip}>
            <Eye size={14} aria-hidden="true" /> {count(viewers)}
          </span>
          <span className={styles.chip}>{clock((now - Date.parse(started_at)) / 1000)}</span>
        </span>
      </span>
      <span className={styles.about} id={`about-${channel}`}>
        <Avatar name={channel} picture={stream.streamer?.avatar_url} live={state === 'live'} />
        <span className={styles.words}>
          <span className={styles.name}>{stream.title || channel}</span>
          {stream.title && (
            <span className={styles.facts}>{[channel, stream.category].filter(Boolean).join(' · ')}</span>
          )}
          <span className={styles.facts}>
            {watching}
            {picture && ` · ${pictureName(picture.height, picture.frame_rate)} · ${codecName(picture.codec)}`}
          </span>
        </span>
      </span>
    </Link>
  );
}
