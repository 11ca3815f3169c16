import { useQueryClient } from '@tanstack/react-query';
import { PlayerFrame } from '@/features/player/components/PlayerFrame';
import { Studio } from '@/features/studio/components/Studio';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { SignedIn } from '../SignedIn';

/** The stream manager, with our player as its preview: silent, so that the streamer does not hear an echo. */
export function DashboardPage() {
  useTitle(t('studio.title'));
  const queries = useQueryClient();
  return (
    <SignedIn>
      {(person) => (
        <Studio
          person={person}
          preview={(stream) => (
            <PlayerFrame
              channel={stream.channel}
              stream={stream}
              muted
              onTurned={() => void queries.invalidateQueries({ queryKey: ['channels', stream.channel, 'stream'] })}
            />
          )}
        />
      )}
    </SignedIn>
  );
}
