import { queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import type { Me } from '@/api/me';

/** An account as an admin sees it. */
export interface Account {
  readonly id: string;
  readonly name: string;
  readonly role: Me['role'];
  readonly banned: boolean;
  readonly created_at: string;
}

/** One thing that an admin did. */
export interface AuditEntry {
  readonly at: string;
  /** Absent: on the server's command line. */
  readonly by?: string | null;
  readonly action: string;
  readonly target: string;
  readonly detail: string;
}

interface OneTimeLink {
  readonly url: string;
}

const at = (name: string) => `/api/v1/admin/users/${encodeURIComponent(name)}`;

export const findAccount = (name: string) => call<Account>('GET', at(name));
export const editAccount = (name: string, edit: Partial<Pick<Account, 'role' | 'banned'>>) =>
  call<Account>('PATCH', at(name), edit);
export const makeResetLink = (name: string) => call<OneTimeLink>('POST', `${at(name)}/reset-link`);
export const makeInvitation = () => call<OneTimeLink>('POST', '/api/v1/admin/invitations');

export const audit = () =>
  queryOptions({
    queryKey: ['admin', 'audit'],
    queryFn: async () => (await call<{ readonly items: readonly AuditEntry[] }>('GET', '/api/v1/admin/audit')).items,
  });
