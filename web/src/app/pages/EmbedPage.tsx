import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { useSearchParams } from 'react-router';
import { streamOf } from '@/api/streams';
import { Logo } from '@/components/Logo';
import { PlayerFrame } from '@/features/player/components/PlayerFrame';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import styles from './EmbedPage.module.css';

/** The bare player, for frames in other pages. `?autoplay=0|1&muted=0|1`. */
export function EmbedPage({ channel }: { readonly channel: string }) {
  useTitle(channel);
  const [search] = useSearchParams();
  const queries = useQueryClient();
  const { data: stream = null } = useQuery(streamOf(channel));
  const refresh = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ['streams'] });
  }, [queries]);
  const muted = search.get('muted');
  return (
    <main className={styles.embed}>
      <PlayerFrame
        key={channel}
        channel={channel}
        stream={stream}
        onTurned={refresh}
        autoplay={search.get('autoplay') !== '0'}
        muted={muted === null ? undefined : muted === '1'}
        header={
          <div className={styles.header}>
            <a
              href={`/@${channel}`}
              target="_blank"
              rel="noopener"
              className={styles.channel}
              aria-label={t('player.openPage', { channel })}
            >
              <Logo wordmark={false} />
              {channel}
            </a>
          </div>
        }
      />
    </main>
  );
}
