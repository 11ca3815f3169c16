import { useCallback, useState, useSyncExternalStore, type RefCallback } from 'react';
import { browserDeps } from '../engine/browser';
import { Player, type PlayerOptions, type PlayerView } from '../engine/player';

interface UsedPlayer {
  /** For the `<video>` element to play in. */
  readonly attach: RefCallback<HTMLVideoElement>;
  /** Both `null` until the element exists. */
  readonly video: HTMLVideoElement | null;
  readonly player: Player | null;
  readonly view: PlayerView | null;
}

const NOTHING = { video: null, player: null };
const noView = () => null;
const noEvents = () => () => undefined;

/**
 * Runs a {@link Player} in a `<video>` element while the component is mounted.
 *
 * Only a new `url` starts a new player: `autoplay`, `muted` and `volume` are where it begins.
 */
export function usePlayer(options: PlayerOptions): UsedPlayer {
  const [used, setUsed] = useState<Pick<UsedPlayer, 'video' | 'player'>>(NOTHING);
  const [begin] = useState(options);
  const { url } = options;

  const attach = useCallback(
    (video: HTMLVideoElement) => {
      const player = new Player(video, { ...begin, url }, browserDeps());
      setUsed({ video, player });
      return () => {
        player.destroy();
        setUsed(NOTHING);
      };
    },
    [url, begin],
  );

  const { player } = used;
  const subscribe = useCallback((changed: () => void) => player?.events.on('view', changed) ?? noEvents(), [player]);
  const view = useSyncExternalStore(subscribe, player ? () => player.view : noView);
  return { attach, ...used, view };
}
