import { queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import type { Page } from '@/api/channels';
import type { Me } from '@/api/me';

export interface ProfileEdit {
  readonly display_name?: string;
  readonly bio?: string;
  readonly email?: string | null;
}

export const editProfile = (edit: ProfileEdit) => call<Me>('PATCH', '/api/v1/me', edit);
export const uploadAvatar = (picture: File) => call('PUT', '/api/v1/me/avatar', picture);
export const removeAvatar = () => call('DELETE', '/api/v1/me/avatar');
export const sendVerification = () => call('POST', '/api/v1/me/email/verification');

export const changePassword = (current: string, password: string) =>
  call('POST', '/api/v1/me/password', { current, password });

/** A browser that is signed in to the account. */
export interface Session {
  readonly id: string;
  readonly device: string;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly current: boolean;
}

export const sessions = () =>
  queryOptions({
    queryKey: ['me', 'sessions'],
    queryFn: async () => (await call<Page<Session>>('GET', '/api/v1/me/sessions')).items,
  });
export const endSession = (id: string) => call('DELETE', `/api/v1/me/sessions/${id}`);
export const endAllSessions = () => call('DELETE', '/api/v1/me/sessions');

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
/** Begins to link a provider: answers where the browser goes for it. */
export const linkIdentity = (provider: string) =>
  call<{ readonly url: string }>('POST', `/api/v1/me/identities/${provider}`);
export const unlinkIdentity = (id: string) => call('DELETE', `/api/v1/me/identities/${encodeURIComponent(id)}`);

/** What an authenticator app needs. */
export interface TotpEnrolment {
  /** Base32. */
  readonly secret: string;
  readonly otpauth_url: string;
}

export const enrolTotp = () => call<TotpEnrolment>('POST', '/api/v1/me/totp');
export const confirmTotp = (code: string) =>
  call<{ readonly recovery_codes: readonly string[] }>('POST', '/api/v1/me/totp/confirm', { code });
export const disableTotp = (password: string) => call('DELETE', '/api/v1/me/totp', { password });

/** A personal token for programs, without its secret. */
export interface ApiToken {
  readonly id: string;
  readonly name: string;
  readonly hint: string;
  readonly scopes: readonly string[];
  readonly created_at: string;
  readonly last_used_at?: string | null;
}

export interface NewApiToken extends ApiToken {
  readonly secret: string;
}

export const apiTokens = () =>
  queryOptions({
    queryKey: ['me', 'tokens'],
    queryFn: async () => (await call<Page<ApiToken>>('GET', '/api/v1/me/tokens')).items,
  });
export const createToken = (name: string, scopes: readonly string[]) =>
  call<NewApiToken>('POST', '/api/v1/me/tokens', { name, scopes });
export const revokeToken = (id: string) => call('DELETE', `/api/v1/me/tokens/${id}`);

export const deleteAccount = (password: string) => call('DELETE', '/api/v1/me', { password });

/** Where one's data can be downloaded. */
export const EXPORT_URL = '/api/v1/me/export';
