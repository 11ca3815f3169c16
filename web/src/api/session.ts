import { Emitter } from '@/lib/emitter';

/** What happens to the session of this browser. */
interface SessionEvents {
  /** The server knows the person no longer: logged out elsewhere, expired or revoked. */
  ended: undefined;
}

/** Tells the app when the session ends without its doing. */
export const sessionEvents = new Emitter<SessionEvents>();

/** Name of the cookie with the CSRF token, which the page may read; `__Host-` where the page came by https. */
const CSRF_COOKIES = ['__Host-millrace_csrf', 'millrace_csrf'];
const CSRF_HEADER = 'X-CSRF-Token';
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

const REFRESH = '/api/v1/auth/refresh';
/** These answer 401 to what they are asked, not because the access token ran out. */
const SELF_CONTAINED = [REFRESH, '/api/v1/auth/login', '/api/v1/auth/logout', '/api/v1/setup'];

/** Where tabs tell each other when the session was renewed last (Unix milliseconds). */
const RENEWED_AT = 'millrace.session.renewed';

/**
 * `fetch` as the person who is signed in: adds the CSRF token to what changes something, and where the access token has
 * run out renews it and asks again, once.
 */
export async function fetchInSession(request: Request): Promise<Response> {
  const asked = Date.now();
  const again = request.clone();
  const response = await globalThis.fetch(withCsrf(request));
  const { pathname } = new URL(request.url);
  if (response.status !== 401 || SELF_CONTAINED.includes(pathname) || csrfToken() === null) return response;
  if (!(await renewed(asked))) return response;
  return globalThis.fetch(withCsrf(again));
}

/**
 * Renews the session unless that happened since `asked`. All tabs of the browser share one refresh token, and using an
 * old one looks like theft, so they take turns.
 *
 * @returns whether there is a fresh access token
 */
async function renewed(asked: number): Promise<boolean> {
  return exclusively(async () => {
    if (lastRenewal() >= asked) return true;
    const url = new URL(REFRESH, window.location.origin);
    const response = await globalThis.fetch(withCsrf(new Request(url, { method: 'POST' })));
    if (response.ok) rememberRenewal(Date.now());
    else if (response.status === 401 || response.status === 403) sessionEvents.emit('ended', undefined);
    return response.ok;
  });
}

let turn: Promise<unknown> = Promise.resolve();

/** Runs `work` while no other tab does; without Web Locks (plain http), while no other request of this tab does. */
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  if (locks !== undefined) return locks.request('millrace.session', work) as Promise<T>;
  const result = turn.then(work);
  turn = result.catch(() => undefined);
  return result;
}

function withCsrf(request: Request): Request {
  const token = csrfToken();
  if (token !== null && !SAFE.has(request.method)) request.headers.set(CSRF_HEADER, token);
  return request;
}

/** The token that proves to the server that a page of its own asks; `null` without a session. */
export function csrfToken(cookies: string = document.cookie): string | null {
  for (const cookie of cookies.split(';')) {
    const [name, value] = cookie.trim().split('=', 2);
    if (name !== undefined && value !== undefined && value !== '' && CSRF_COOKIES.includes(name)) return value;
  }
  return null;
}

function lastRenewal(): number {
  try {
    return Number(localStorage.getItem(RENEWED_AT) ?? 0);
  } catch {
    return 0;
  }
}

function rememberRenewal(at: number): void {
  try {
    localStorage.setItem(RENEWED_AT, String(at));
  } catch {
    // Without storage every tab renews for itself; the server gives tabs that are seconds apart the same token.
  }
}
