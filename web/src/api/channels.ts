import { queryOptions } from '@tanstack/react-query';
import { api, done, orNull, unwrap } from './client';
import type { components } from './schema';

export type Playback = components['schemas']['Playback'];

/** Whether the channel is for its followers, and this person is none. Moderators and the owner watch all the same. */
export const isClosed = (channel: Channel): boolean =>
  channel.playback === 'followers' && channel.following !== true && channel.moderating !== true;

/** A person as everybody sees them. */
export type Profile = components['schemas']['Profile'];

/** A channel, live or not. */
export type Channel = components['schemas']['ChannelView'];

/** The rungs of a channel, for its owner and admins of the site. */
export type Ladder = components['schemas']['LadderView'];

export const editLadder = (name: string, ladder: components['schemas']['LadderEdit']) =>
  unwrap(api.PATCH('/api/v1/channels/{name}', { params: { path: { name } }, body: { ladder } }));

/** A channel as everybody sees it; `null` if there is none. */
export const channelNamed = (name: string) =>
  queryOptions({
    queryKey: ['channels', name],
    queryFn: () => orNull(unwrap(api.GET('/api/v1/channels/{name}', { params: { path: { name } } }))),
  });

/** A person as everybody sees them; `null` if there is nobody of that name. */
export const profileOf = (name: string) =>
  queryOptions({
    queryKey: ['users', name],
    queryFn: () => orNull(unwrap(api.GET('/api/v1/users/{name}', { params: { path: { name } } }))),
    staleTime: 60_000,
  });

export const follow = (name: string) => done(api.PUT('/api/v1/channels/{name}/follow', { params: { path: { name } } }));
export const mute = (name: string, muted: boolean) =>
  done(api.PATCH('/api/v1/channels/{name}/follow', { params: { path: { name } }, body: { muted } }));
export const unfollow = (name: string) =>
  done(api.DELETE('/api/v1/channels/{name}/follow', { params: { path: { name } } }));
