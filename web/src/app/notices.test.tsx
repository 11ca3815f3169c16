import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import type { Notice, PushDevice } from '@/features/notices/api/notices';
import { channelNamed, personNamed, problem, serve } from '@/testing/server';
import { Providers } from './App';
import { AppRoutes } from './routes';

function notice(channel: string, more: Partial<Notice> = {}): Notice {
  return {
    id: `019a2f00-0000-7000-8000-000000000000:${channel}`,
    kind: 'live',
    channel,
    streamer: 'Ada L.',
    title: 'Day 12',
    category: 'Crafts',
    at: new Date(Date.now() - 65_000).toISOString(),
    live: true,
    read: false,
    ...more,
  };
}

/** Bob's page, and the server that keeps his notices. */
function open(path: string, notices: Notice[] = []) {
  const server = { ...serve([]), notices, enabled: true, devices: [] as PushDevice[] };
  const unread = () => ({ unread: server.notices.filter(({ read }) => !read).length });
  Object.assign(server.routes, {
    'GET /me': () => personNamed('bob'),
    'GET /me/sessions': () => ({ items: [], next_cursor: null }),
    'GET /me/tokens': () => ({ items: [], next_cursor: null }),
    'GET /me/notices/unread': unread,
    'GET /me/notices': () => ({ items: server.notices, next_cursor: null }),
    'GET /me/notices/settings': () => ({ enabled: server.enabled }),
    'PATCH /me/notices/settings': ({ body }: { body: unknown }) => {
      server.enabled = (body as { enabled: boolean }).enabled;
      return body as object;
    },
    'POST /me/notices/read': () => {
      server.notices = server.notices.map((one) => ({ ...one, read: true }));
      return undefined;
    },
    'GET /me/push': () => ({ public_key: 'BAAA', devices: server.devices }),
  });
  render(
    <Providers>
      <MemoryRouter initialEntries={[path]}>
        <AppRoutes />
      </MemoryRouter>
    </Providers>,
  );
  return { server, user: userEvent.setup() };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the bell', () => {
  it('counts what is new, shows it, and it is read then', async () => {
    const { server, user } = open('/', [notice('boatyard'), notice('chess', { live: false, read: true, streamer: 'Eve' })]);
    const bell = await screen.findByRole('button', { name: 'Notices, 1 new' });
    expect(bell).toHaveTextContent('1');
    await user.click(bell);
    const item = await screen.findByTestId('notice-boatyard');
    expect(item).toHaveTextContent('Ada L. is live');
    expect(item).toHaveTextContent('Day 12');
    expect(item).toHaveTextContent('1 minute ago');
    expect(item).toHaveAttribute('href', '/@boatyard');
    expect(screen.getByTestId('notice-chess')).toHaveTextContent('Eve was live');
    await waitFor(() => expect(screen.getByTestId('bell')).toHaveAccessibleName('Notices'));
    const read = server.asked.filter(({ path }) => path === '/me/notices/read');
    expect(read.map(({ body }) => body)).toEqual([{ through: notice('boatyard').id }]);
    expect(item).toHaveTextContent('new');
  });

  it('opens and closes by the keyboard, and leads to a channel', async () => {
    const { server, user } = open('/', [notice('boatyard')]);
    server.routes['GET /channels/boatyard'] = () => channelNamed('boatyard', { title: 'Day 12' });
    const bell = await screen.findByRole('button', { name: 'Notices, 1 new' });
    bell.focus();
    await user.keyboard('{Enter}');
    await screen.findByTestId('notice-boatyard');
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByTestId('notice-boatyard')).not.toBeInTheDocument());
    await user.keyboard('{Enter}');
    await user.click(await screen.findByTestId('notice-boatyard'));
    expect(await screen.findByRole('heading', { name: 'Day 12' })).toBeVisible();
    expect(screen.queryByTestId('notice-boatyard')).not.toBeInTheDocument();
  });

  it('says that there is nothing, or that it cannot be seen', async () => {
    const { server, user } = open('/');
    const bell = await screen.findByRole('button', { name: 'Notices' });
    await user.click(bell);
    expect(await screen.findByText(/Follow a channel/)).toBeVisible();
    await user.keyboard('{Escape}');
    server.routes['GET /me/notices'] = () => problem(400, 'bad', 'No.');
    await user.click(bell);
    expect(await screen.findByRole('button', { name: 'Try again' })).toBeVisible();
  });

  it('is not there for somebody who is not signed in', async () => {
    serve([]);
    render(
      <Providers>
        <MemoryRouter>
          <AppRoutes />
        </MemoryRouter>
      </Providers>,
    );
    await screen.findByRole('link', { name: 'Sign in' });
    expect(screen.queryByTestId('bell')).not.toBeInTheDocument();
  });
});

describe('a channel that one follows', () => {
  it('is muted and heard again', async () => {
    const { server, user } = open('/@boatyard');
    let muted = false;
    server.routes['GET /channels/boatyard'] = () => channelNamed('boatyard', { following: true, muted });
    server.routes['PATCH /channels/boatyard/follow'] = ({ body }) => {
      ({ muted } = body as { muted: boolean });
      return undefined;
    };
    await user.click(await screen.findByRole('button', { name: 'Notices of boatyard', pressed: true }));
    await user.click(await screen.findByRole('button', { name: 'Notices of boatyard', pressed: false }));
    await screen.findByRole('button', { name: 'Notices of boatyard', pressed: true });
    const asked = server.asked.filter(({ method }) => method === 'PATCH');
    expect(asked.map(({ body }) => body)).toEqual([{ muted: true }, { muted: false }]);
  });
});

/** A browser with push, as far as the page can tell. */
function stubPush(answer: NotificationPermission) {
  const browser = { subscription: null as null | object, registered: [] as string[] };
  const pushManager = {
    getSubscription: () => Promise.resolve(browser.subscription),
    subscribe: () => {
      browser.subscription = {
        options: { applicationServerKey: null },
        toJSON: () => ({ endpoint: 'https://push.example.org/1', keys: { p256dh: 'point', auth: 'secret' } }),
        unsubscribe: () => {
          browser.subscription = null;
          return Promise.resolve(true);
        },
      };
      return Promise.resolve(browser.subscription);
    },
  };
  const serviceWorker = {
    register: (script: string) => {
      browser.registered.push(script);
      return Promise.resolve({ pushManager });
    },
    getRegistration: () => Promise.resolve({ pushManager }),
    ready: Promise.resolve({ pushManager }),
  };
  vi.stubGlobal('PushManager', vi.fn());
  vi.stubGlobal('Notification', { permission: 'default', requestPermission: () => Promise.resolve(answer) });
  vi.stubGlobal('navigator', Object.assign(Object.create(window.navigator) as Navigator, { serviceWorker }));
  return browser;
}

describe('the settings of notices', () => {
  const section = () => screen.findByRole('region', { name: 'Notices' });

  it('turn all of them off and on', async () => {
    const { user } = open('/settings');
    await user.click(await within(await section()).findByRole('button', { name: 'Turn all notices off' }));
    expect(await screen.findByText('You hear of nothing.')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Notices' }));
    expect(await screen.findByText(/Notices are turned off/)).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Turn them on' }));
    expect(await screen.findByText(/You hear of the channels/)).toBeVisible();
  });

  it('subscribe this browser, list it, and end it', async () => {
    const browser = stubPush('granted');
    const { server, user } = open('/settings');
    server.routes['PUT /me/push/devices'] = () => {
      const made = { id: 'one', name: 'Firefox on Linux', created_at: '2026-11-21T12:00:00Z', current: true };
      server.devices = [made];
      return made;
    };
    server.routes['DELETE /me/push/devices/one'] = () => {
      server.devices = [];
      return undefined;
    };
    await user.click(await screen.findByRole('button', { name: 'Turn on for this browser' }));
    const list = await screen.findByRole('list', { name: 'Browsers that show notices' });
    expect(list).toHaveTextContent('Firefox on Linuxthis browser');
    const sent = server.asked.find(({ method }) => method === 'PUT');
    expect(sent?.body).toEqual({ endpoint: 'https://push.example.org/1', keys: { p256dh: 'point', auth: 'secret' } });
    expect(browser.registered).toEqual(['/sw.js']);
    await user.click(await screen.findByRole('button', { name: 'Turn off for this browser' }));
    await waitFor(() => expect(list).not.toBeInTheDocument());
    expect(browser.subscription).toBeNull();
    await screen.findByRole('button', { name: 'Turn on for this browser' });
  });

  it('say why it cannot be done', async () => {
    stubPush('denied');
    const { user } = open('/settings');
    await user.click(await screen.findByRole('button', { name: 'Turn on for this browser' }));
    expect(await screen.findByText(/You told the browser not to/)).toHaveAttribute('role', 'alert');
  });

  it('offer nothing where the browser cannot', async () => {
    open('/settings');
    expect(await screen.findByText(/This browser cannot do it/)).toBeVisible();
    expect(screen.queryByTestId('push')).not.toBeInTheDocument();
  });

  it('say what went wrong when another browser is removed', async () => {
    stubPush('granted');
    const { server, user } = open('/settings');
    server.devices = [{ id: 'x', name: 'Edge on Windows', created_at: '2026-11-21T12:00:00Z', current: false }];
    server.routes['DELETE /me/push/devices/x'] = () => {
      server.devices = [];
      return problem(404, 'no-such-device', 'It was removed already.');
    };
    await user.click(await screen.findByRole('button', { name: 'Show no more notices on Edge on Windows' }));
    expect(await screen.findByText('It was removed already.')).toHaveAttribute('role', 'alert');
    await waitFor(() => expect(screen.queryByText('Edge on Windows')).not.toBeInTheDocument());
  });
});
