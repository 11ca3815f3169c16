import { queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

type Schemas = components['schemas'];

export const editProfile = (body: Schemas['ProfileEdit']) => unwrap(api.PATCH('/api/v1/me', { body }));
/** Sends the mail again that proves the new address. */
export const askForProof = () => done(api.POST('/api/v1/me/email/verification'));
export const uploadAvatar = (picture: File) => call('PUT', '/api/v1/me/avatar', picture);
export const removeAvatar = () => done(api.DELETE('/api/v1/me/avatar'));

/** Sets another password; `current` is left out where a provider has just said who asks. */
export const changePassword = (current: string | undefined, password: string) =>
  done(api.POST('/api/v1/me/password', { body: { password, ...(current !== undefined && { current }) } }));

export const sessions = () =>
  queryOptions({
    queryKey: ['me', 'sessions'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/me/sessions'))).items,
  });
export const endSession = (id: string) => done(api.DELETE('/api/v1/me/sessions/{id}', { params: { path: { id } } }));
export const endAllSessions = () => done(api.DELETE('/api/v1/me/sessions'));

/** An account elsewhere that lets the person in. */
export interface Identity {
  readonly id: string;
  readonly provider: string;
  readonly label: string;
  readonly email?: string | null;
  readonly linked_at: string;
}

export const identities = () =>
  queryOptions({
    queryKey: ['me', 'identities'],
    queryFn: async () => (await call<{ readonly items: readonly Identity[] }>('GET', '/api/v1/me/identities')).items,
  });

/** Who has no password shows by a provider who they are; for some minutes after it, nothing else is asked for. */
export const confirmation = () =>
  queryOptions({
    queryKey: ['me', 'confirmation'],
    queryFn: () => unwrap(api.GET('/api/v1/me/identities')),
    staleTime: 0,
  });
/** Goes to a linked provider once more: answers where the browser goes for it. */
export const confirmWith = (which: string) =>
  unwrap(api.POST('/api/v1/me/identities/{which}/confirm', { params: { path: { which } } }));
/** Begins to link a provider: answers where the browser goes for it. */
export const linkIdentity = (provider: string) =>
  call<{ readonly url: string }>('POST', `/api/v1/me/identities/${provider}`);
export const unlinkIdentity = (id: string) => call('DELETE', `/api/v1/me/identities/${encodeURIComponent(id)}`);

/** What an authenticator app needs. */
export type TotpEnrolment = Schemas['Enrolment'];

export const enrolTotp = () => unwrap(api.POST('/api/v1/me/totp'));
export const confirmTotp = (code: string) => unwrap(api.POST('/api/v1/me/totp/confirm', { body: { code } }));
export const disableTotp = (password?: string) =>
  done(api.DELETE('/api/v1/me/totp', { body: { ...(password !== undefined && { password }) } }));

export type NewApiToken = Schemas['MadeToken'];

export const apiTokens = () =>
  queryOptions({
    queryKey: ['me', 'tokens'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/me/tokens'))).items,
  });
export const createToken = (name: string, scopes: Schemas['Scope'][]) =>
  unwrap(api.POST('/api/v1/me/tokens', { body: { name, scopes } }));
export const revokeToken = (id: string) => done(api.DELETE('/api/v1/me/tokens/{id}', { params: { path: { id } } }));

export const deleteAccount = (password?: string) =>
  done(api.DELETE('/api/v1/me', { body: { ...(password !== undefined && { password }) } }));

/** Where one's data can be downloaded. */
export const EXPORT_URL = '/api/v1/me/export';
