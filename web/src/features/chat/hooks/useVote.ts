import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useState } from 'react';
import { failureOf } from '@/components/Form';
import { ownVote, vote } from '../api/polls';

interface Used {
  /** Which answer is one's own; `null`: none. */
  readonly voted: number | null;
  /** Why the last try did not count. */
  readonly error: string | null;
  readonly busy: boolean;
  readonly cast: (answer: number) => void;
}

/** One's own vote in a poll. It is `asked` for where one may have voted before this page was there. */
export function useVote(channel: string, poll: string, asked: boolean): Used {
  const queries = useQueryClient();
  const { data } = useQuery({ ...ownVote(channel, poll), enabled: asked });
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const cast = useCallback(
    (answer: number) => {
      setBusy(true);
      setError(null);
      vote(channel, poll, answer)
        .then(
          () => queries.setQueryData(ownVote(channel, poll).queryKey, answer),
          (caught: unknown) => setError(failureOf(caught).sentence),
        )
        .finally(() => setBusy(false));
    },
    [channel, poll, queries],
  );
  return { voted: data ?? null, error, busy, cast };
}
