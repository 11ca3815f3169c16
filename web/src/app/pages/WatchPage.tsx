import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Lock, MessageSquare } from 'lucide-react';
import { lazy, Suspense, useCallback, useState } from 'react';
import { channelNamed, isClosed, profileOf } from '@/api/channels';
import { me } from '@/api/me';
import { streamOf } from '@/api/streams';
import { chatOf } from '@/features/chat/api/chat';
import { PlayerCard } from '@/features/player/components/PlayerCard';
import { PlayerFrame } from '@/features/player/components/PlayerFrame';
import { useSettings } from '@/lib/useSettings';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { FollowButton } from '../FollowButton';
import { AboutBroadcast } from './AboutBroadcast';
import styles from './WatchPage.module.css';

// The picture does not wait for the chat.
const ChatPanel = lazy(async () => ({ default: (await import('@/features/chat/components/ChatPanel')).ChatPanel }));

/** One channel: the player, its chat, and what is known of its broadcast. */
export function WatchPage({ channel }: { readonly channel: string }) {
  const queries = useQueryClient();
  const { data: stream = null } = useQuery(streamOf(channel));
  // On a server with open publishing a channel may be live without being kept; a person may have none.
  const { data: about } = useQuery({ ...channelNamed(channel), refetchInterval: 30_000 });
  const { data: owner } = useQuery({ ...profileOf(channel), enabled: about === null });
  useTitle(about?.title ? `${about.title} · ${channel}` : channel);
  const [settings, change] = useSettings();
  const { theatre } = settings;
  const { data: person } = useQuery(me());
  const { data: room = null } = useQuery(chatOf(channel));
  const hasChat = room !== null && person !== undefined;
  const chat = hasChat ? (settings.chat ? 'open' : 'closed') : undefined;
  /** Counts the wishes to write in the chat. */
  const [writing, setWriting] = useState(0);

  const refresh = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ['streams'] });
  }, [queries]);

  const write = () => {
    change({ chat: true });
    setWriting(writing + 1);
  };

  return (
    <div className={styles.page} data-theatre={theatre} data-chat={chat} data-bleed={theatre || undefined}>
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
            onChat={hasChat ? write : undefined}
          />
        )}
      </div>
      {chat === 'open' && (
        <div className={styles.chat}>
          <Suspense>
            <ChatPanel
              key={`${channel} ${person?.id ?? ''}`}
              channel={channel}
              onHide={() => change({ chat: false })}
              focus={writing}
            />
          </Suspense>
        </div>
      )}
      {chat === 'closed' && (
        <button
          type="button"
          className={styles.showChat}
          aria-expanded="false"
          onClick={() => change({ chat: true })}
          data-testid="show-chat"
        >
          <MessageSquare size={19} aria-hidden="true" />
          <span>{t('chat.show')}</span>
        </button>
      )}
      <div className={styles.about}>
        <AboutBroadcast
          channel={channel}
          stream={stream}
          about={about ?? null}
          person={about?.owner ?? owner ?? null}
        />
      </div>
    </div>
  );
}
