import { queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

/** A picture that stands where its name is said between colons. */
export type Emote = components['schemas']['EmoteView'];

/** The emotes of a room: the channel's own, and those of the site. */
export const emotesOf = (channel: string) =>
  queryOptions({
    queryKey: ['chat', channel, 'emotes'],
    queryFn: () => unwrap(api.GET('/api/v1/channels/{name}/chat/emotes', { params: { path: { name: channel } } })),
    staleTime: 300_000,
    retry: false,
  });

const of = (name: string, emote: string) => ({ params: { path: { name, emote } } });

export const putEmote = (channel: string, emote: string, picture: File) =>
  call('PUT', `/api/v1/channels/${encodeURIComponent(channel)}/chat/emotes/${encodeURIComponent(emote)}`, picture);
export const removeEmote = (channel: string, emote: string) =>
  done(api.DELETE('/api/v1/channels/{name}/chat/emotes/{emote}', of(channel, emote)));
