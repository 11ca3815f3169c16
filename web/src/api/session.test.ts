import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { problem } from '@/testing/server';
import { call } from './call';
import { csrfToken, sessionEvents } from './session';

beforeEach(() => {
  document.cookie = 'millrace_csrf=token.1';
});

afterEach(() => {
  document.cookie = 'millrace_csrf=; Max-Age=0';
  vi.unstubAllGlobals();
  sessionEvents.clear();
});

/** A server whose access tokens have all run out until somebody renews. */
function expired({ renewable = true } = {}) {
  const server = { fresh: false, renewals: 0, asked: [] as Request[] };
  vi.stubGlobal('fetch', async (request: Request) => {
    server.asked.push(request);
    await Promise.resolve();
    if (new URL(request.url).pathname === '/api/v1/auth/refresh') {
      server.renewals += 1;
      if (!renewable) return problem(401, 'session-ended', 'Sign in again.');
      server.fresh = true;
      return new Response(null, { status: 204 });
    }
    return server.fresh ? Response.json({ body: await request.text() }) : problem(401, 'signed-out', 'Sign in.');
  });
  return server;
}

describe('the session', () => {
  it('is renewed when the access token has run out, and the request sent again with its body', async () => {
    const server = expired();
    expect(await call<unknown>('POST', '/api/v1/things', { a: 1 })).toEqual({ body: '{"a":1}' });
    expect(server.renewals).toBe(1);
  });

  it('is renewed once for many requests at the same time', async () => {
    const server = expired();
    await Promise.all(Array.from({ length: 6 }, (_, n) => call('GET', `/api/v1/things/${n}`)));
    expect(server.renewals).toBe(1);
  });

  it('is not renewed again where another tab has just done it', async () => {
    const server = expired();
    localStorage.setItem('millrace.session.renewed', String(Date.now() + 1_000));
    await expect(call('GET', '/api/v1/things')).rejects.toMatchObject({ status: 401 });
    expect(server.renewals).toBe(0);
    expect(server.asked).toHaveLength(2);
  });

  it('takes turns with other tabs', async () => {
    const held = vi.fn((_name: string, work: () => Promise<unknown>) => work());
    vi.stubGlobal('navigator', { locks: { request: held } });
    expired();
    await call('GET', '/api/v1/things');
    expect(held).toHaveBeenCalledWith('millrace.session', expect.any(Function));
  });

  it('ends when it cannot be renewed, and says so', async () => {
    expired({ renewable: false });
    const ended = vi.fn();
    sessionEvents.on('ended', ended);
    await expect(call('GET', '/api/v1/things')).rejects.toMatchObject({ status: 401, kind: 'signed-out' });
    expect(ended).toHaveBeenCalledTimes(1);
  });

  it('is not asked for by who has none', async () => {
    document.cookie = 'millrace_csrf=; Max-Age=0';
    const server = expired();
    await expect(call('GET', '/api/v1/me')).rejects.toMatchObject({ status: 401 });
    expect(server.asked).toHaveLength(1);
  });

  it('is not renewed by a wrong password', async () => {
    const server = expired();
    await expect(call('POST', '/api/v1/auth/login', {})).rejects.toMatchObject({ status: 401 });
    expect(server.renewals).toBe(0);
  });
});

describe('the CSRF token', () => {
  it('goes with what changes something, and with nothing else', async () => {
    const server = expired();
    server.fresh = true;
    await call('GET', '/api/v1/things');
    await call('DELETE', '/api/v1/things');
    expect(server.asked.map((request) => request.headers.get('x-csrf-token'))).toEqual([null, 'token.1']);
  });

  it.each([
    ['a=b; millrace_csrf=x.y; c=d', 'x.y'],
    ['__Host-millrace_csrf=z', 'z'],
    ['other_millrace_csrf=x', null],
    ['millrace_csrf=', null],
    ['', null],
  ])('is read from "%s"', (cookies, token) => {
    expect(csrfToken(cookies)).toBe(token);
  });
});
