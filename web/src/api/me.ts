import { queryOptions } from '@tanstack/react-query';
import { api, ApiError, unwrap } from './client';
import type { components } from './schema';

/** The person who is signed in. */
export type Me = components['schemas']['Me'];

/** Who is signed in; `null` if nobody is. */
export const me = () =>
  queryOptions({
    queryKey: ['me'],
    queryFn: async (): Promise<Me | null> => {
      try {
        return await unwrap(api.GET('/api/v1/me'));
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
