import { call } from '@/api/call';
import type { Me } from '@/api/me';

/** Signs in by name or e-mail. `code` is the second factor: six digits, or a recovery code. */
export const signIn = (login: string, password: string, code?: string) =>
  call('POST', '/api/v1/auth/login', { login, password, ...(code !== undefined && { code }) });

export const signOut = () => call('POST', '/api/v1/auth/logout');

export interface NewPerson {
  readonly name: string;
  readonly email?: string;
  readonly password: string;
}

export const register = (person: NewPerson & { readonly invitation?: string }) => call<Me>('POST', '/api/v1/auth/register', person);

/** Makes the owner's account with the token of the link that the first start printed. */
export const setUp = (token: string, person: NewPerson) => call<Me>('POST', '/api/v1/setup', { token, ...person });

/** Asks for a mail with a link that sets a new password. The answer does not tell whether there is such an account. */
export const askForReset = (login: string) => call('POST', '/api/v1/auth/password/forgot', { login });

export const resetPassword = (token: string, password: string) =>
  call('POST', '/api/v1/auth/password/reset', { token, password });

export const verifyEmail = (token: string) => call('POST', '/api/v1/auth/email/verify', { token });
