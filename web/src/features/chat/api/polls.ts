import { queryOptions } from '@tanstack/react-query';
import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

const of = (name: string) => ({ params: { path: { name } } });
const ofPoll = (name: string, id: string) => ({ params: { path: { name, id } } });

/** For which answer one has voted in this poll, from 0; `null`: for none. */
export const ownVote = (channel: string, poll: string) =>
  queryOptions({
    queryKey: ['chat', channel, 'vote', poll],
    queryFn: async () => {
      const found = await unwrap(api.GET('/api/v1/channels/{name}/chat/poll', of(channel)));
      return found.poll?.id === poll ? found.voted : null;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

export const vote = (channel: string, poll: string, answer: number) =>
  done(api.PUT('/api/v1/channels/{name}/chat/polls/{id}/vote', { ...ofPoll(channel, poll), body: { answer } }));
export const openPoll = (channel: string, body: components['schemas']['NewPoll']) =>
  unwrap(api.POST('/api/v1/channels/{name}/chat/polls', { ...of(channel), body }));
export const closePoll = (channel: string, poll: string) =>
  unwrap(api.POST('/api/v1/channels/{name}/chat/polls/{id}/close', ofPoll(channel, poll)));
