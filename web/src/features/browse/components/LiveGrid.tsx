import { useQuery } from '@tanstack/react-query';
import { CloudOff, Waves } from 'lucide-react';
import { liveStreams, type Stream } from '@/api/streams';
import { Notice } from '@/components/Notice';
import { count } from '@/lib/format';
import { useOnline } from '@/lib/useOnline';
import { t } from '@/text/t';
import { GoLiveGuide } from './GoLiveGuide';
import { StreamCard } from './StreamCard';
import styles from './LiveGrid.module.css';

/** Everyone who is live, most watched first. */
export function LiveGrid() {
  const { data, isPending, isError } = useQuery(liveStreams());
  const online = useOnline();

  if (data === undefined) {
    if (!online) {
      return (
        <Notice
          level="h1"
          icon={<CloudOff size={40} aria-hidden="true" />}
          title={t('browse.offline.title')}
          body={t('browse.offline.body')}
        />
      );
    }
    if (isPending) return <Loading />;
    return (
      <Notice
        level="h1"
        icon={<CloudOff size={40} aria-hidden="true" />}
        title={t('browse.error.title')}
        body={t('browse.error.body')}
      />
    );
  }

  const streams = [...data].sort(byViewers);
  if (streams.length === 0) {
    return (
      <div className={styles.empty} data-testid="empty">
        <Notice
          level="h1"
          icon={<Waves size={40} aria-hidden="true" />}
          title={t('browse.empty.title')}
          body={t('browse.empty.body')}
        />
        <GoLiveGuide />
      </div>
    );
  }
  return (
    <section aria-labelledby="live-now">
      <header className={styles.header}>
        <h1 id="live-now" className={styles.title}>
          {t('browse.title')}
        </h1>
        <p className={styles.count} data-testid="count">
          {streams.length === 1 ? t('browse.count.one') : t('browse.count.many', { count: count(streams.length) })}
        </p>
      </header>
      {(isError || !online) && (
        <p className={styles.stale} role="status">
          {online ? t('browse.stale') : t('browse.offline.body')}
        </p>
      )}
      <ul className={styles.grid} data-few={streams.length < 3} data-testid="streams">
        {streams.map((stream) => (
          <li key={stream.channel}>
            <StreamCard stream={stream} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Loading() {
  return (
    <div role="status" aria-label={t('browse.loading')} data-testid="loading">
      <div className={styles.header}>
        <span className={styles.ghostTitle} />
      </div>
      <div className={styles.grid} aria-hidden="true">
        {Array.from({ length: 6 }, (_, index) => (
          <div key={index} className={styles.ghost} />
        ))}
      </div>
    </div>
  );
}

/** Most watched first; equals by name, so that the list does not jump about. */
function byViewers(a: Stream, b: Stream): number {
  return b.viewers - a.viewers || a.channel.localeCompare(b.channel);
}
