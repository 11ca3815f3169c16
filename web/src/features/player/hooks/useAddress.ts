import { useEffect } from 'react';
import type { Stream } from '@/api/streams';
import type { Player } from '../engine/player';

/** Clocks of viewers are wrong: no sooner and no later than this. */
const SOONEST_MS = 10_000;
const LATEST_MS = 30 * 60_000;

/**
 * Keeps the player's address good for as long as the page is open, in a hidden tab too: `renew` is called at half the
 * time it has left, and brings a new `stream`.
 */
export function useAddress(player: Player | null, stream: Stream | null, renew: () => void): void {
  const url = stream?.playback_url;
  const expiresAt = stream?.playback_expires_at;

  useEffect(() => {
    if (url !== undefined) player?.moveTo(url);
  }, [player, url]);

  useEffect(() => {
    if (typeof expiresAt !== 'string') return;
    const half = (Date.parse(expiresAt) - Date.now()) / 2;
    const timer = setTimeout(renew, Math.min(LATEST_MS, Math.max(SOONEST_MS, half)));
    return () => clearTimeout(timer);
  }, [expiresAt, renew]);
}
