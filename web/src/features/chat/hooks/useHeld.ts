import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect } from 'react';
import { failureOf } from '@/components/Form';
import { held, review } from '../api/chat';
import type { Chat } from '../engine/chat';
import type { Held } from '../engine/protocol';
import type { Outcome } from './useModeration';

interface Used {
  /** Oldest first. */
  readonly waiting: readonly Held[];
  readonly decide: (one: Held, decision: 'allow' | 'deny') => void;
}

const NONE: readonly Held[] = [];

/** What waits for who moderates: asked for once, and then as the chat tells. */
export function useHeld(channel: string, chat: Chat, tell: (outcome: Outcome | null) => void): Used {
  const queries = useQueryClient();
  const query = held(channel);
  const { data } = useQuery(query);

  useEffect(() => {
    const { queryKey } = held(channel);
    return chat.events.on('queue', (news) => {
      const known = queries.getQueryData(queryKey);
      // While it is being asked for, what is told may be missing in the answer.
      if (news === null || known === undefined) void queries.invalidateQueries({ queryKey });
      else queries.setQueryData(queryKey, merged(known, news.waiting, news.reviewed));
    });
  }, [channel, chat, queries]);

  const decide = useCallback(
    (one: Held, decision: 'allow' | 'deny') => {
      const { queryKey } = held(channel);
      const { id } = one.message;
      review(channel, id, decision).then(
        () => {
          tell(null);
          queries.setQueryData(queryKey, (known) => known && merged(known, [], [id]));
        },
        (error: unknown) => {
          tell({ sentence: failureOf(error).sentence, failed: true });
          // Perhaps somebody else was faster.
          void queries.invalidateQueries({ queryKey });
        },
      );
    },
    [channel, queries, tell],
  );
  return { waiting: data ?? NONE, decide };
}

function merged(known: readonly Held[], waiting: readonly Held[], reviewed: readonly string[]): readonly Held[] {
  // What is told again keeps its place.
  const all = new Map([...known, ...waiting].map((one) => [one.message.id, one]));
  for (const id of reviewed) all.delete(id);
  return [...all.values()];
}
