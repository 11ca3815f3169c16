import { infiniteQueryOptions } from '@tanstack/react-query';
import { api, unwrap } from './client';

const PAGE = 30;

/** Most characters that are searched for. */
export const SEARCH_MAX = 100;

/** Public channels in which every word begins a word; live ones first. */
export const search = (q: string) =>
  infiniteQueryOptions({
    queryKey: ['search', q],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET('/api/v1/channels', { params: { query: { q, limit: PAGE, ...(cursor !== '' && { cursor }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
    enabled: q !== '',
    staleTime: 10_000,
  });
