import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

type Schemas = components['schemas'];

/** A room as who moderates it sees it. */
export type ManagedRoom = Schemas['ChatRoom'];
/** Which messages wait for who moderates. */
export type Hold = Schemas['HoldPolicy'];
/** A message as who moderates sees it: `removed` if it was taken away. */
export type Line = Schemas['ChatLine'];

/** What moderators look for; empty: anything. */
export interface Sought {
  readonly author: string;
  readonly words: string;
}

const PAGE = 50;
const of = (name: string) => ({ params: { path: { name } } });

/** Everything that is set in a room. */
export const managed = (channel: string) =>
  queryOptions({
    queryKey: ['chat', channel, 'managed'],
    queryFn: () => unwrap(api.GET('/api/v1/channels/{name}/chat', of(channel))),
  });

/** Who may not write in a room, the newest first. */
export const sanctions = (channel: string) =>
  infiniteQueryOptions({
    queryKey: ['chat', channel, 'sanctions'],
    queryFn: ({ pageParam }) => {
      const query = pageParam === '' ? { limit: PAGE } : { limit: PAGE, cursor: pageParam };
      return unwrap(api.GET('/api/v1/channels/{name}/chat/sanctions', { params: { path: { name: channel }, query } }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });

/** Who subscribes to the channel, the newest first. */
export const subscribers = (channel: string) =>
  infiniteQueryOptions({
    queryKey: ['chat', channel, 'subscribers'],
    queryFn: ({ pageParam }) => {
      const query = pageParam === '' ? { limit: PAGE } : { limit: PAGE, cursor: pageParam };
      return unwrap(api.GET('/api/v1/channels/{name}/subscribers', { params: { path: { name: channel }, query } }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });

/** What was said, newest first. A page may be empty and have a next one: the server reads so far and no further. */
export const searched = (channel: string, { author, words }: Sought) =>
  infiniteQueryOptions({
    queryKey: ['chat', channel, 'searched', author, words],
    queryFn: ({ pageParam }) => {
      const query = {
        limit: PAGE,
        ...(author !== '' && { author }),
        ...(words !== '' && { q: words }),
        ...(pageParam !== '' && { cursor: pageParam }),
      };
      return unwrap(api.GET('/api/v1/channels/{name}/chat/messages', { params: { path: { name: channel }, query } }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
    gcTime: 0,
    retry: false,
  });

/** What can be changed of a room; what is left out stays. */
export type RoomChange = Partial<Schemas['ChatRoomEdit']>;

/** The description makes every field required because each has a default: to stay. */
export const changeRoom = (channel: string, change: RoomChange) =>
  unwrap(api.PATCH('/api/v1/channels/{name}/chat', { ...of(channel), body: change as Schemas['ChatRoomEdit'] }));

const ofPerson = (name: string, person: string) => ({ params: { path: { name, person } } });
export const honour = (channel: string, person: string) =>
  done(api.PUT('/api/v1/channels/{name}/chat/vips/{person}', ofPerson(channel, person)));
export const dishonour = (channel: string, person: string) =>
  done(api.DELETE('/api/v1/channels/{name}/chat/vips/{person}', ofPerson(channel, person)));

/** Somebody subscribes, until then or without end. */
export const addSubscriber = (channel: string, person: string, until: string | null) =>
  done(api.PUT('/api/v1/channels/{name}/subscribers/{person}', { ...ofPerson(channel, person), body: { until } }));
export const removeSubscriber = (channel: string, person: string) =>
  done(api.DELETE('/api/v1/channels/{name}/subscribers/{person}', ofPerson(channel, person)));
