import { queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import { ApiError } from '@/api/client';
import { shape } from '@/lib/shape';
import type { HistoryPage } from '../engine/chat';
import { messageOf, roomOf, type Room } from '../engine/protocol';

// To be asked through the generated client as soon as the description of the API has these routes.

const pathOf = (channel: string, rest = '') => `/api/v1/channels/${encodeURIComponent(channel)}/chat${rest}`;
const PAGE = 50;

/** The chat of a channel; `null` where there is none, as on a server that has no chat. */
export const chatOf = (channel: string) =>
  queryOptions({
    queryKey: ['chat', channel],
    queryFn: async (): Promise<Room | null> => {
      try {
        const answer = shape.record(await call<unknown>('GET', pathOf(channel)));
        return roomOf(answer.room ?? answer);
      } catch (error) {
        if (error instanceof ApiError && (error.status === 404 || error.status === 501)) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });

/** What was said before the message of the id `before`, or last. */
export async function history(channel: string, before: string | null): Promise<HistoryPage> {
  const query = new URLSearchParams({ limit: String(PAGE), ...(before !== null && { before }) });
  const page = shape.record(await call<unknown>('GET', pathOf(channel, `/messages?${query.toString()}`)));
  const items = Array.isArray(page.items) ? page.items : [];
  return {
    messages: items.map(messageOf).filter((message) => message !== null),
    more: typeof (page.next_cursor ?? page.next) === 'string',
  };
}

/** What can be changed of a room. */
export type RoomChange = Partial<Pick<Room, 'slow_mode_s' | 'followers_only_s' | 'unique' | 'links' | 'rules'>>;

export const changeRoom = (channel: string, change: RoomChange) => call('PATCH', pathOf(channel), change);
export const removeMessage = (channel: string, id: string) =>
  call('DELETE', pathOf(channel, `/messages/${encodeURIComponent(id)}`));
export const clearChat = (channel: string) => call('DELETE', pathOf(channel, '/messages'));
export const pin = (channel: string, message: string) => call('PUT', pathOf(channel, '/pinned'), { message });
export const unpin = (channel: string) => call('DELETE', pathOf(channel, '/pinned'));

const sanctionOf = (channel: string, name: string) => pathOf(channel, `/sanctions/${encodeURIComponent(name)}`);

/** Keeps somebody from writing for a while. */
export const timeOut = (channel: string, name: string, seconds: number, reason = '') =>
  call('PUT', sanctionOf(channel, name), { kind: 'timeout', seconds, reason });
/** Keeps somebody from writing until that is lifted. */
export const ban = (channel: string, name: string, reason: string) =>
  call('PUT', sanctionOf(channel, name), { kind: 'ban', reason });
/** Lets somebody write again. */
export const lift = (channel: string, name: string) => call('DELETE', sanctionOf(channel, name));
