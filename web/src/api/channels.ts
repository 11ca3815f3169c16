import { queryOptions } from '@tanstack/react-query';
import { call } from './call';
import { ApiError } from './client';
import type { Stream } from './streams';

export type Playback = 'public' | 'unlisted' | 'followers' | 'private';

/** A person as everybody sees them. */
export interface Profile {
  readonly name: string;
  readonly display_name: string;
  readonly bio?: string;
  readonly avatar_url?: string | null;
}

/** A channel, live or not. */
export interface Channel {
  readonly id: string;
  readonly name: string;
  readonly owner: Profile;
  readonly title: string;
  readonly category: string;
  readonly tags: readonly string[];
  readonly language: string;
  readonly description: string;
  readonly playback: Playback;
  readonly followers: number;
  /** Whether who asks follows it; absent for nobody. */
  readonly following?: boolean | null;
  readonly created_at: string;
  readonly stream?: Stream | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}

/** A channel as everybody sees it; `null` if there is none. */
export const channelNamed = (name: string) =>
  queryOptions({
    queryKey: ['channels', name],
    queryFn: async (): Promise<Channel | null> => {
      try {
        return await call<Channel>('GET', `/api/v1/channels/${name}`);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
  });

/** A person as everybody sees them; `null` if there is nobody of that name. */
export const profileOf = (name: string) =>
  queryOptions({
    queryKey: ['users', name],
    queryFn: async (): Promise<Profile | null> => {
      try {
        return await call<Profile>('GET', `/api/v1/users/${name}`);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });

export const follow = (channel: string) => call('PUT', `/api/v1/channels/${channel}/follow`);
export const unfollow = (channel: string) => call('DELETE', `/api/v1/channels/${channel}/follow`);
