import { queryOptions } from '@tanstack/react-query';
import { api, orNull, unwrap } from './client';
import type { components } from './schema';

/** A channel that is live, or whose publisher dropped and may still come back. */
export type Stream = components['schemas']['Stream'];

const LIST_REFRESH_MS = 5_000;
const STREAM_REFRESH_MS = 4_000;

/** Channels per request, and the most that one page of ours shows. */
const PAGE = 200;
const MOST_STREAMS = 1_000;

/** The live channels, refreshed while the page is visible. */
export const liveStreams = () =>
  queryOptions({
    queryKey: ['streams'],
    queryFn: async () => {
      const streams: Stream[] = [];
      let cursor: string | null = null;
      do {
        const query: { sort: 'viewers'; limit: number; cursor?: string } = { sort: 'viewers', limit: PAGE, ...(cursor !== null && { cursor }) };
        const page = await unwrap(api.GET('/api/v1/streams', { params: { query } }));
        streams.push(...page.items);
        cursor = page.next_cursor ?? null;
      } while (cursor !== null && streams.length < MOST_STREAMS);
      return streams;
    },
    refetchInterval: LIST_REFRESH_MS,
  });

/** One channel's broadcast, or `null` while it is offline. */
export const streamOf = (channel: string) =>
  queryOptions({
    queryKey: ['streams', channel],
    queryFn: () => orNull(unwrap(api.GET('/api/v1/streams/{channel}', { params: { path: { channel } } }))),
    refetchInterval: STREAM_REFRESH_MS,
  });
