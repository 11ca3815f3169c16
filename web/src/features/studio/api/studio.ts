import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, done, orNull, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

type Schemas = components['schemas'];

/** A stream key without its secret. */
export type StreamKey = Schemas['StreamKeyView'];

/** A new key: the only time that its secret is told. */
export type NewStreamKey = Schemas['NewStreamKeyView'];

const PAGE = 20;

const of = (name: string) => ({ params: { path: { name } } });
const keyOf = (name: string, id: string) => ({ params: { path: { name, id } } });
const personOf = (name: string, person: string) => ({ params: { path: { name, person } } });

export const myChannels = () =>
  queryOptions({
    queryKey: ['me', 'channels'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/me/channels'))).items,
  });

export const createChannel = (name: string) => unwrap(api.POST('/api/v1/channels', { body: { name } }));
export const editChannel = (name: string, body: Schemas['ChannelEdit']) =>
  unwrap(api.PATCH('/api/v1/channels/{name}', { ...of(name), body }));
export const deleteChannel = (name: string) => done(api.DELETE('/api/v1/channels/{name}', of(name)));

/** The running broadcast of one's channel, whoever else may watch it; `null` while there is none. */
export const running = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'stream'],
    queryFn: () => orNull(unwrap(api.GET('/api/v1/channels/{name}/stream', of(channel)))),
    refetchInterval: 2_000,
  });
export const stopBroadcast = (name: string) => done(api.POST('/api/v1/channels/{name}/stream/stop', of(name)));

export const streamKeys = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'keys'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/channels/{name}/keys', of(channel)))).items,
  });
export const createKey = (channel: string, name: string) =>
  unwrap(api.POST('/api/v1/channels/{name}/keys', { ...of(channel), body: { name } }));
export const rotateKey = (channel: string, id: string) =>
  unwrap(api.POST('/api/v1/channels/{name}/keys/{id}/rotate', keyOf(channel, id)));
export const revokeKey = (channel: string, id: string) =>
  done(api.DELETE('/api/v1/channels/{name}/keys/{id}', keyOf(channel, id)));

export const moderators = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'moderators'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/channels/{name}/moderators', of(channel)))).items,
  });
export const appoint = (channel: string, person: string) =>
  done(api.PUT('/api/v1/channels/{name}/moderators/{person}', personOf(channel, person)));
export const dismiss = (channel: string, person: string) =>
  done(api.DELETE('/api/v1/channels/{name}/moderators/{person}', personOf(channel, person)));

/** The path and the place in the list of one request for a page. */
const pageOf = (name: string, cursor: string) => ({
  params: { path: { name }, query: { limit: PAGE, ...(cursor !== '' && { cursor }) } },
});

/** The broadcasts of a channel, newest first. */
export const broadcasts = (channel: string) =>
  infiniteQueryOptions({
    queryKey: ['channels', channel, 'broadcasts'],
    queryFn: ({ pageParam }) => unwrap(api.GET('/api/v1/channels/{name}/broadcasts', pageOf(channel, pageParam))),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });

/** Who follows a channel, newest first. */
export const followers = (channel: string) =>
  infiniteQueryOptions({
    queryKey: ['channels', channel, 'followers'],
    queryFn: ({ pageParam }) => unwrap(api.GET('/api/v1/channels/{name}/followers', pageOf(channel, pageParam))),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });

/** Who may not follow a channel, newest first. */
export const blocked = (channel: string) =>
  infiniteQueryOptions({
    queryKey: ['channels', channel, 'blocks'],
    queryFn: ({ pageParam }) => unwrap(api.GET('/api/v1/channels/{name}/blocks', pageOf(channel, pageParam))),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });
export const block = (channel: string, person: string) =>
  done(api.PUT('/api/v1/channels/{name}/blocks/{person}', personOf(channel, person)));
export const unblock = (channel: string, person: string) =>
  done(api.DELETE('/api/v1/channels/{name}/blocks/{person}', personOf(channel, person)));

/** A plan as its owner edits it. */
export type Plan = Schemas['PlanView'];
export type PlanInput = Schemas['PlanInput'];

const dayOf = (name: string, id: string, day: string) => ({ params: { path: { name, id, day } } });

/** What a channel plans, as it is edited. */
export const plansOf = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'plans'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/channels/{name}/plans', of(channel)))).items,
  });
export const addPlan = (channel: string, body: PlanInput) =>
  unwrap(api.POST('/api/v1/channels/{name}/plans', { ...of(channel), body }));
export const editPlan = (channel: string, id: string, body: PlanInput) =>
  unwrap(api.PUT('/api/v1/channels/{name}/plans/{id}', { ...keyOf(channel, id), body }));
export const removePlan = (channel: string, id: string) =>
  done(api.DELETE('/api/v1/channels/{name}/plans/{id}', keyOf(channel, id)));
export const cancelDay = (channel: string, id: string, day: string) =>
  unwrap(api.PUT('/api/v1/channels/{name}/plans/{id}/cancelled/{day}', dayOf(channel, id, day)));
export const restoreDay = (channel: string, id: string, day: string) =>
  unwrap(api.DELETE('/api/v1/channels/{name}/plans/{id}/cancelled/{day}', dayOf(channel, id, day)));

/** A program that is told what happens on a channel. */
export type Webhook = Schemas['WebhookView'];
export type NewWebhook = Schemas['NewWebhookView'];
export type WebhookEvent = Schemas['WebhookEvent'];
export type WebhookAttempt = Schemas['WebhookAttempt'];

export const webhooks = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'webhooks'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/channels/{name}/webhooks', of(channel)))).items,
  });
export const createWebhook = (channel: string, body: Schemas['NewWebhook']) =>
  unwrap(api.POST('/api/v1/channels/{name}/webhooks', { ...of(channel), body }));
export const turnWebhook = (channel: string, id: string, enabled: boolean) =>
  unwrap(api.PATCH('/api/v1/channels/{name}/webhooks/{id}', { ...keyOf(channel, id), body: { enabled } }));
export const removeWebhook = (channel: string, id: string) =>
  done(api.DELETE('/api/v1/channels/{name}/webhooks/{id}', keyOf(channel, id)));
export const rotateWebhook = (channel: string, id: string) =>
  unwrap(api.POST('/api/v1/channels/{name}/webhooks/{id}/rotate', keyOf(channel, id)));
export const testWebhook = (channel: string, id: string) =>
  done(api.POST('/api/v1/channels/{name}/webhooks/{id}/test', keyOf(channel, id)));

/** The last attempts to tell it something, newest first; looked at again while they are shown. */
export const webhookDeliveries = (channel: string, id: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'webhooks', id, 'deliveries'],
    queryFn: async () =>
      (await unwrap(api.GET('/api/v1/channels/{name}/webhooks/{id}/deliveries', keyOf(channel, id)))).items,
    refetchInterval: 3_000,
  });

/** Who may say nothing in the chats of all one's channels, newest first. */
export const chatBans = () =>
  infiniteQueryOptions({
    queryKey: ['me', 'chat', 'bans'],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET('/api/v1/me/chat/bans', { params: { query: { limit: PAGE, ...(cursor !== '' && { cursor }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });
export const banFromChats = (person: string, reason: string) =>
  done(api.PUT('/api/v1/me/chat/bans/{person}', { params: { path: { person } }, body: { reason } }));
export const liftChatBan = (person: string) =>
  done(api.DELETE('/api/v1/me/chat/bans/{person}', { params: { path: { person } } }));

/** The raid that is about to go; `null` while there is none. */
export const raidOf = (channel: string) =>
  queryOptions({
    queryKey: ['channels', channel, 'raid'],
    queryFn: () => orNull(unwrap(api.GET('/api/v1/channels/{name}/raid', of(channel)))),
    refetchInterval: ({ state }) => (state.data ? 2_000 : false),
  });
export const startRaid = (channel: string, target: string) =>
  unwrap(api.POST('/api/v1/channels/{name}/raid', { ...of(channel), body: { target } }));
export const cancelRaid = (channel: string) => done(api.DELETE('/api/v1/channels/{name}/raid', of(channel)));
