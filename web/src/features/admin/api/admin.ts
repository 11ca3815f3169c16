import { queryOptions } from '@tanstack/react-query';
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

/** What admins did, newest first. */
export const audit = () =>
  queryOptions({
    queryKey: ['admin', 'audit'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/admin/audit'))).items,
  });
