import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

type Schemas = components['schemas'];

/** Something that happened on a channel that one follows. */
export type Notice = Schemas['NoticeView'];

/** A browser that shows notices while no page is open. */
export type PushDevice = Schemas['PushDevice'];

/** How often a page that is looked at asks whether something is new. */
const ASK_EVERY_MS = 60_000;
const PAGE = 20;

/** How many notices are new. */
export const unread = () =>
  queryOptions({
    queryKey: ['me', 'notices', 'unread'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/me/notices/unread'))).unread,
    refetchInterval: ASK_EVERY_MS,
  });

/** One's notices, newest first. */
export const notices = () =>
  infiniteQueryOptions({
    queryKey: ['me', 'notices', 'list'],
    queryFn: ({ pageParam }) =>
      unwrap(
        api.GET('/api/v1/me/notices', {
          params: { query: { limit: PAGE, ...(pageParam !== null && { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
  });

export const readThrough = (through: string) => done(api.POST('/api/v1/me/notices/read', { body: { through } }));

/** Whether one wants notices at all. */
export const enabled = () =>
  queryOptions({
    queryKey: ['me', 'notices', 'settings'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/me/notices/settings'))).enabled,
  });
export const turn = (on: boolean) => unwrap(api.PATCH('/api/v1/me/notices/settings', { body: { enabled: on } }));

/** Which browsers show notices, and the key that they subscribe with. */
export const push = () =>
  queryOptions({ queryKey: ['me', 'push'], queryFn: () => unwrap(api.GET('/api/v1/me/push')) });
export const addDevice = (body: Schemas['NewPushDevice']) => unwrap(api.PUT('/api/v1/me/push/devices', { body }));
export const removeDevice = (id: string) =>
  done(api.DELETE('/api/v1/me/push/devices/{id}', { params: { path: { id } } }));
