import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Lock } from 'lucide-react';
import { useCallback } from 'react';
import { useSearchParams } from 'react-router';
import { channelNamed, isClosed } from '@/api/channels';
import { streamOf } from '@/api/streams';
import { Logo } from '@/components/Logo';
import { PlayerCard } from '@/features/player/components/PlayerCard';
import { PlayerFrame } from '@/features/player/components/PlayerFrame';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import styles from './EmbedPage.module.css';

/** The bare player, for frames in other pages. `?autoplay=0|1&muted=0|1`. */
export function EmbedPage({ channel }: { readonly channel: string }) {
  useTitle(channel);
  const [search] = useSearchParams();
  const queries = useQueryClient();
  const { data: about } = useQuery({ ...channelNamed(channel), refetchInterval: 30_000 });
  const { data: stream = null } = useQuery(streamOf(channel));
  const refresh = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ['streams'] });
  }, [queries]);
  const muted = search.get('muted');
  // In a frame of another site nobody is signed in, most often: the page of the channel is where one follows.
  const page = (text: string) => (
    <a
      href={`/@${channel}`}
      target="_blank"
      rel="noopener"
      className={styles.channel}
      aria-label={t('player.openPage', { channel })}
    >
      <Logo wordmark={false} />
      {text}
    </a>
  );
  if (stream === null && about && isClosed(about)) {
    return (
      <main className={styles.embed}>
        <PlayerCard
          icon={<Lock aria-hidden="true" />}
          title={t('watch.followers.title', { channel })}
          body={t('watch.followers.body')}
          channel={channel}
        >
          {page(t('player.openPage', { channel }))}
        </PlayerCard>
      </main>
    );
  }
  return (
    <main className={styles.embed}>
      <PlayerFrame
        key={channel}
        channel={channel}
        stream={stream}
        onTurned={refresh}
        autoplay={search.get('autoplay') !== '0'}
        muted={muted === null ? undefined : muted === '1'}
        header={<div className={styles.header}>{page(channel)}</div>}
      />
    </main>
  );
}
