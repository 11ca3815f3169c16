import { useQuery } from '@tanstack/react-query';
import { CloudOff, Waves } from 'lucide-react';
import { Link, useSearchParams } from 'react-router';
import { liveStreams } from '@/api/streams';
import { Notice } from '@/components/Notice';
import { count } from '@/lib/format';
import { useOnline } from '@/lib/useOnline';
import { t } from '@/text/t';
import { choiceOf, chosen } from '../model/choice';
import { Filters } from './Filters';
import { GoLiveGuide } from './GoLiveGuide';
import { StreamCard } from './StreamCard';
import styles from './LiveGrid.module.css';

/** Everyone who is live, most watched first unless something else was chosen. */
export function LiveGrid() {
  const { data, isPending, isError } = useQuery(liveStreams());
  const online = useOnline();
  const [search] = useSearchParams();

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

  if (data.length === 0) {
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
  const choice = choiceOf(search);
  const streams = chosen(data, choice);
  return (
    <section aria-labelledby="live-now">
      <header className={styles.header}>
        <h1 id="live-now" className={styles.title}>
          {t('browse.title')}
        </h1>
        <p className={styles.count} data-testid="count" role="status">
          {streams.length === 1 ? t('browse.count.one') : t('browse.count.many', { count: count(streams.length) })}
        </p>
        <Filters streams={data} choice={choice} />
      </header>
      {streams.length === 0 && (
        <Notice title={t('browse.none.title')} body={t('browse.none.body')}>
          <Link to="/" className={styles.all}>
            {t('browse.none.action')}
          </Link>
        </Notice>
      )}
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
