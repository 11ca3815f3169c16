import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import { ApiError } from '@/api/client';
import type { Channel, Page, Playback, Profile } from '@/api/channels';
import type { Stream } from '@/api/streams';

/** A stream key without its secret. */
export interface StreamKey {
  readonly id: string;
  readonly name: string;
  readonly hint: string;
  readonly created_at: string;
  readonly last_used_at?: string | null;
  readonly revoked_at?: string | null;
}

/** A new key: the only time that its secret is told. */
export interface NewStreamKey extends StreamKey {
  readonly secret: string;
}

/** A broadcast, over or running. */
export interface Broadcast {
  readonly id: string;
  readonly title: string;
  readonly category: string;
  readonly started_at: string;
  readonly ended_at?: string | null;
  readonly peak_viewers: number;
}

export interface Follower extends Profile {
  readonly followed_at: string;
}

const at = (channel: string, rest: string) => `/api/v1/channels/${channel}/${rest}`;

export const myChannels = () =>
  queryOptions({
    queryKey: ['me', 'channels'],
    queryFn: async () => (await call<Page<Channel>>('GET', '/api/v1/me/channels')).items,
  });

export const createChannel = (name: string) => call<Channel>('POST', '/api/v1/channels', { name });

export interface ChannelEdit {
  readonly title: string;
  readonly category: string;
  readonly tags: readonly string[];
  readonly language: string;
  readonly description: string;
  readonly playback: Playback;
}

export const editChannel = (channel: string, edit: ChannelEdit) =>
  call<Channel>('PATCH', `/api/v1/channels/${channel}`, edit);
export const deleteChannel = (channel: string) => call('DELETE', `/api/v1/channels/${channel}`);

/** The running broadcast of one's channel, whoever else may watch it; `null` while there is none. */
export const running = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'stream'],
    queryFn: async (): Promise<Stream | null> => {
      try {
        return await call<Stream>('GET', at(channel, 'stream'));
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
    refetchInterval: 2_000,
  });
export const stopBroadcast = (channel: string) => call('POST', at(channel, 'stream/stop'));

export const streamKeys = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'keys'],
    queryFn: async () => {
      const { items } = await call<Page<StreamKey>>('GET', at(channel, 'keys'));
      return items.filter((key) => key.revoked_at === undefined || key.revoked_at === null);
    },
  });
export const createKey = (channel: string, name: string) => call<NewStreamKey>('POST', at(channel, 'keys'), { name });
export const rotateKey = (channel: string, id: string) => call<NewStreamKey>('POST', at(channel, `keys/${id}/rotate`));
export const revokeKey = (channel: string, id: string) => call('DELETE', at(channel, `keys/${id}`));

export const moderators = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'moderators'],
    queryFn: async () => (await call<Page<Profile>>('GET', at(channel, 'moderators'))).items,
  });
export const appoint = (channel: string, person: string) => call('PUT', at(channel, `moderators/${person}`));
export const dismiss = (channel: string, person: string) => call('DELETE', at(channel, `moderators/${person}`));

/** A list of a channel, page by page. */
const pages = <T>(channel: string, list: string) =>
  infiniteQueryOptions({
    queryKey: ['channels', channel, list],
    queryFn: ({ pageParam }) =>
      call<Page<T>>('GET', at(channel, `${list}?limit=20${pageParam === '' ? '' : `&cursor=${encodeURIComponent(pageParam)}`}`)),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });
export const broadcasts = (channel: string) => pages<Broadcast>(channel, 'broadcasts');
export const followers = (channel: string) => pages<Follower>(channel, 'followers');
