import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useMemo, useRef } from 'react';
import { emotesOf } from '../api/emotes';
import { byName, NO_EMOTES, type RoomEmotes } from '../model/emotes';

/** All pages of a room hear at once that its emotes are others; they ask within this time. */
const SPREAD_MS = 5_000;

/** The emotes of the room that is shown. */
export const EmotesContext = createContext<RoomEmotes>(NO_EMOTES);

export const useRoomEmotes = (): RoomEmotes => use(EmotesContext);

/** Fetches the emotes of a room, and again when it says that they are others. `version` is `null` before it is known. */
export function useEmotes(channel: string, version: number | null): RoomEmotes {
  const queries = useQueryClient();
  const { data } = useQuery({ ...emotesOf(channel), enabled: version !== null });
  const known = useRef<number | null>(null);
  useEffect(() => {
    const before = known.current;
    known.current = version;
    if (version === null || before === null || before === version) return;
    const ask = () => void queries.invalidateQueries({ queryKey: emotesOf(channel).queryKey });
    const timer = setTimeout(ask, Math.random() * SPREAD_MS);
    return () => clearTimeout(timer);
  }, [channel, queries, version]);
  return useMemo(() => (data === undefined ? NO_EMOTES : byName(data.channel, data.site)), [data]);
}
