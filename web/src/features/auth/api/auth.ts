import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

type NewPerson = components['schemas']['NewPerson'];

/** What every new account needs. */
export type Beginner = Pick<NewPerson, 'name' | 'email' | 'password'>;

/** Signs in by name or e-mail. `code` is the second factor: six digits, or a recovery code. */
export const signIn = (login: string, password: string, code?: string) =>
  unwrap(api.POST('/api/v1/auth/login', { body: { login, password, ...(code !== undefined && { code }) } }));

/** The second factor of somebody whom a provider has let in. */
export const finishSignIn = (code: string) => unwrap(api.POST('/api/v1/auth/second-factor', { body: { code } }));

export const signOut = () => done(api.POST('/api/v1/auth/logout'));

export const register = (body: NewPerson) => unwrap(api.POST('/api/v1/auth/register', { body }));

/** Makes the owner's account with the token of the link that the first start printed. */
export const setUp = (token: string, person: Beginner) =>
  unwrap(api.POST('/api/v1/setup', { body: { token, ...person } }));

export const resetPassword = (token: string, password: string) =>
  done(api.POST('/api/v1/auth/password/reset', { body: { token, password } }));

/** Asks for a mail with a link to a new password. The answer does not say whether there is such an account. */
export const forgotPassword = (login: string) => done(api.POST('/api/v1/auth/password/forgot', { body: { login } }));

/** Proves, with the token of a mail, that its person reads the mail of an address. */
export const verifyEmail = (token: string) => done(api.POST('/api/v1/auth/email/verify', { body: { token } }));
