import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Lock } from 'lucide-react';
import { useCallback } from 'react';
import { channelNamed, isClosed, profileOf } from '@/api/channels';
import { streamOf } from '@/api/streams';
import { PlayerCard } from '@/features/player/components/PlayerCard';
import { PlayerFrame } from '@/features/player/components/PlayerFrame';
import { useSettings } from '@/lib/useSettings';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { FollowButton } from '../FollowButton';
import { AboutBroadcast } from './AboutBroadcast';
import styles from './WatchPage.module.css';

/** One channel: the player, and what is known of its broadcast. */
export function WatchPage({ channel }: { readonly channel: string }) {
  const queries = useQueryClient();
  const { data: stream = null } = useQuery(streamOf(channel));
  // On a server with open publishing a channel may be live without being kept; a person may have none.
  const { data: about } = useQuery({ ...channelNamed(channel), refetchInterval: 30_000 });
  const { data: person } = useQuery({ ...profileOf(channel), enabled: about === null });
  useTitle(about?.title ? `${about.title} · ${channel}` : channel);
  const [settings, change] = useSettings();
  const { theatre } = settings;

  const refresh = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ['streams'] });
  }, [queries]);

  return (
    <div className={styles.page} data-theatre={theatre} data-bleed={theatre || undefined}>
      <div className={styles.stage}>
        {stream === null && about && isClosed(about) ? (
          <PlayerCard
            icon={<Lock aria-hidden="true" />}
            title={t('watch.followers.title', { channel })}
            body={t('watch.followers.body')}
            channel={channel}
          >
            <FollowButton channel={about} />
          </PlayerCard>
        ) : (
          <PlayerFrame
            key={channel}
            channel={channel}
            stream={stream}
            onTurned={refresh}
            theatre={{ active: theatre, toggle: () => change({ theatre: !theatre }) }}
          />
        )}
      </div>
      <AboutBroadcast
        channel={channel}
        stream={stream}
        about={about ?? null}
        person={about?.owner ?? person ?? null}
      />
    </div>
  );
}
