import { infiniteQueryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

/** An account as an admin sees it. */
export type Account = components['schemas']['Account'];

const of = (name: string) => ({ params: { path: { name } } });

export const findAccount = (name: string) => unwrap(api.GET('/api/v1/admin/users/{name}', of(name)));
export const editAccount = (name: string, body: components['schemas']['AccountEdit']) =>
  unwrap(api.PATCH('/api/v1/admin/users/{name}', { ...of(name), body }));
export const makeResetLink = (name: string) => unwrap(api.POST('/api/v1/admin/users/{name}/reset-link', of(name)));
export const makeInvitation = () => unwrap(api.POST('/api/v1/admin/invitations'));

/** What admins did, newest first, page by page. */
export const audit = () =>
  infiniteQueryOptions({
    queryKey: ['admin', 'audit'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      unwrap(api.GET('/api/v1/admin/audit', { params: { query: pageParam === null ? {} : { cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor,
  });
