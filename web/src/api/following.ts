import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from './client';
import type { components } from './schema';

/** A channel that one follows. */
export type Followed = components['schemas']['Followed'];

const PAGE = 200;
/** Most that the page shows. */
const MOST = 2_000;

/** What one follows: live ones first, then those followed last. */
export const following = () =>
  queryOptions({
    queryKey: ['me', 'follows'],
    queryFn: async () => {
      const all: Followed[] = [];
      let cursor: string | null = null;
      do {
        const query: { limit: number; cursor?: string } = { limit: PAGE, ...(cursor !== null && { cursor }) };
        const page = await unwrap(api.GET('/api/v1/me/follows', { params: { query } }));
        all.push(...page.items);
        cursor = page.next_cursor ?? null;
      } while (cursor !== null && all.length < MOST);
      return all.sort((one, other) => Number(other.live) - Number(one.live));
    },
    refetchInterval: 15_000,
  });
