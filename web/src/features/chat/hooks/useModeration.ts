import { useCallback, useMemo, useState } from 'react';
import { ApiError } from '@/api/client';
import { failureOf } from '@/components/Form';
import { t } from '@/text/t';
import { lift, pin, removeMessage, silence, unpin } from '../api/chat';
import type { Author, Message } from '../engine/protocol';
import { span } from '../model/span';

/** What a moderator can do from the page. What comes of it is said in {@link Outcome}; the log shows the rest. */
export interface Moderation {
  readonly remove: (message: Message) => void;
  readonly pin: (message: Message) => void;
  readonly unpin: () => void;
  readonly timeOut: (author: Author, seconds: number) => void;
  readonly lift: (author: Author) => void;
  /** Asks for the reason first. */
  readonly askBan: (author: Author) => void;
}

/** What came of the last deed. */
export interface Outcome {
  readonly sentence: string;
  readonly failed: boolean;
}

interface Used {
  readonly moderation: Moderation;
  readonly outcome: Outcome | null;
  readonly tell: (outcome: Outcome | null) => void;
  /** Who is about to be banned; `null` for nobody. */
  readonly banning: Author | null;
  readonly endBan: () => void;
}

export function useModeration(channel: string): Used {
  const [outcome, tell] = useState<Outcome | null>(null);
  const [banning, setBanning] = useState<Author | null>(null);

  const run = useCallback((deed: Promise<unknown>, done: string, nothing?: string) => {
    deed.then(
      () => tell({ sentence: done, failed: false }),
      (error: unknown) => {
        const none = nothing !== undefined && error instanceof ApiError && error.status === 404;
        tell({ sentence: none ? nothing : failureOf(error).sentence, failed: true });
      },
    );
  }, []);

  const moderation = useMemo<Moderation>(
    () => ({
      remove: (message) => run(removeMessage(channel, message.id), t('chat.mod.done.delete')),
      pin: (message) => run(pin(channel, message.id), t('chat.mod.done.pin')),
      unpin: () => run(unpin(channel), t('chat.mod.done.unpin')),
      timeOut: ({ name, display_name }, seconds) =>
        run(silence(channel, name, { seconds }), t('chat.mod.done.timeout', { name: display_name, time: span(seconds) })),
      lift: ({ name, display_name }) =>
        run(
          lift(channel, name),
          t('chat.mod.done.lift', { name: display_name }),
          t('chat.mod.lift.none', { name: display_name }),
        ),
      askBan: setBanning,
    }),
    [channel, run],
  );
  const endBan = useCallback(() => setBanning(null), []);
  return { moderation, outcome, tell, banning, endBan };
}
