import { useEffect, useMemo, useState } from 'react';
import { beatFor, Beats, madeUpViewer } from '../engine/beats';
import type { Player } from '../engine/player';

/** Says that somebody watches `channel` while `watching`. */
export function useBeats(channel: string, player: Player | null, watching: boolean): void {
  const [viewer] = useState(madeUpViewer);
  const beats = useMemo(
    () => new Beats(beatFor(channel, () => player?.sourceName ?? null), viewer),
    [channel, player, viewer],
  );

  useEffect(() => {
    if (!watching) return;
    beats.start();
    return () => beats.stop();
  }, [beats, watching]);
}
