import { queryOptions } from '@tanstack/react-query';
import { call } from './call';
import { ApiError } from './client';

/** The person who is signed in. */
export interface Me {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly email?: string | null;
  readonly email_verified: boolean;
  readonly role: 'viewer' | 'streamer' | 'admin';
  readonly bio: string;
  readonly avatar_url?: string | null;
  readonly two_factor: boolean;
  /** Who came by a provider has none. */
  readonly has_password: boolean;
  readonly created_at: string;
}

/** Who is signed in; `null` if nobody is. */
export const me = () =>
  queryOptions({
    queryKey: ['me'],
    queryFn: async (): Promise<Me | null> => {
      try {
        return await call<Me>('GET', '/api/v1/me');
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
