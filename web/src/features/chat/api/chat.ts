import { queryOptions } from '@tanstack/react-query';
import { api, ApiError, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';
import type { HistoryPage } from '../engine/chat';
import { heldOf, messageOf, roomOf, type Held, type Room } from '../engine/protocol';

type Schemas = components['schemas'];

const of = (name: string) => ({ params: { path: { name } } });
const ofPerson = (name: string, person: string) => ({ params: { path: { name, person } } });
const PAGE = 50;
/** No more wait in a room. */
const MOST_HELD = 200;
/** Pages in a row of which nothing is left, before the person is asked whether to go on. */
const MOST_PAGES = 5;

/** The chat of a channel; `null` where there is none, or none for this person. */
export const chatOf = (channel: string) =>
  queryOptions({
    queryKey: ['chat', channel],
    queryFn: async (): Promise<Room | null> => {
      try {
        return roomOf(await unwrap(api.GET('/api/v1/channels/{name}/chat', of(channel))));
      } catch (error) {
        // 404 and 501: no such channel, or a server without a chat. 403: for followers only.
        if (error instanceof ApiError && [403, 404, 501].includes(error.status)) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });

/**
 * What was said before the message of the id `before`, or last; newest first. What was taken away is left out, as for
 * everybody.
 */
export async function history(channel: string, before: string | null): Promise<HistoryPage> {
  let from: { before?: string; cursor?: string } = before === null ? {} : { before };
  for (let pages = 1; ; pages++) {
    const params = { path: { name: channel }, query: { limit: PAGE, ...from } };
    const page = await unwrap(api.GET('/api/v1/channels/{name}/chat/messages', { params }));
    const shown = page.items.filter((item) => item.removed !== true);
    const messages = shown.map(messageOf).filter((message) => message !== null);
    const cursor = page.next_cursor ?? null;
    // Of a page nothing may be left; who scrolled up for it wants to see something.
    if (messages.length > 0 || cursor === null || pages === MOST_PAGES) return { messages, more: cursor !== null };
    from = { cursor };
  }
}

/** Messages that wait for who moderates, oldest first. */
export const held = (channel: string) =>
  queryOptions({
    queryKey: ['chat', channel, 'held'],
    queryFn: async (): Promise<readonly Held[]> => {
      const params = { path: { name: channel }, query: { limit: MOST_HELD } };
      const page = await unwrap(api.GET('/api/v1/channels/{name}/chat/held', { params }));
      return page.items.map(heldOf).filter((one) => one !== null);
    },
  });
/** Lets one that waits be said, or does not. */
export const review = (name: string, message: string, decision: Schemas['HeldDecision']) =>
  done(api.PUT('/api/v1/channels/{name}/chat/held/{message}', { params: { path: { name, message } }, body: { decision } }));

export const removeMessage = (name: string, message: string) =>
  done(api.DELETE('/api/v1/channels/{name}/chat/messages/{message}', { params: { path: { name, message } } }));
export const clearChat = (channel: string) => done(api.DELETE('/api/v1/channels/{name}/chat/messages', of(channel)));
export const pin = (channel: string, message: string) =>
  done(api.PUT('/api/v1/channels/{name}/chat/pinned', { ...of(channel), body: { message } }));
export const unpin = (channel: string) => done(api.DELETE('/api/v1/channels/{name}/chat/pinned', of(channel)));

/** Keeps somebody from writing: for a while, or without `seconds` until that is lifted. */
export const silence = (channel: string, person: string, body: Schemas['ChatSanctionEdit']) =>
  done(api.PUT('/api/v1/channels/{name}/chat/sanctions/{person}', { ...ofPerson(channel, person), body }));
/** Lets somebody write again. */
export const lift = (channel: string, person: string) =>
  done(api.DELETE('/api/v1/channels/{name}/chat/sanctions/{person}', ofPerson(channel, person)));
