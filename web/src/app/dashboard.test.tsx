import { cleanup, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import type { Ladder } from '@/api/channels';
import { channelNamed, personNamed, problem, serve, streamNamed } from '@/testing/server';
import { Providers } from './App';
import { AppRoutes } from './routes';

function open(path = '/dashboard') {
  render(
    <Providers>
      <MemoryRouter initialEntries={[path]}>
        <AppRoutes />
      </MemoryRouter>
    </Providers>,
  );
  return userEvent.setup();
}

const page = (...items: object[]) => ({ items, next_cursor: null });
const key = { id: 'k1', name: 'Home', hint: 'x9Zq', created_at: '2026-11-01T12:00:00Z', last_used_at: null };

/** A server where ada owns these channels. */
function studio(...names: string[]) {
  const channels = names.map((name) => channelNamed(name));
  const server = serve([], {
    'GET /me': () => personNamed('ada', { role: 'streamer' }),
    'GET /me/channels': () => page(...channels),
    'GET /me/chat/bans': () => page(),
  });
  for (const name of names) {
    for (const list of ['keys', 'broadcasts', 'followers', 'moderators', 'blocks', 'plans', 'schedule', 'webhooks']) {
      server.routes[`GET /channels/${name}/${list}`] = () => page();
    }
    server.routes[`GET /channels/${name}/raid`] = () => problem(404, 'no-raid', 'No raid.');
  }
  return { ...server, channels };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the dashboard', () => {
  it('is for who is signed in; others are led to the door', async () => {
    serve([]);
    open();
    expect(await screen.findByRole('heading', { name: 'Sign in' })).toBeVisible();
  });

  it('tells a viewer whom to ask', async () => {
    const server = studio();
    server.routes['GET /me'] = () => personNamed('ada', { role: 'viewer' });
    open();
    expect(await screen.findByText(/Ask an admin of this site to make you a streamer/)).toBeVisible();
  });

  it('begins with a channel of the person’s own name', async () => {
    const server = studio();
    server.routes['POST /channels'] = ({ body }) => {
      const made = channelNamed((body as { name: string }).name);
      server.channels.push(made);
      for (const list of ['keys', 'broadcasts', 'followers', 'moderators', 'blocks', 'plans', 'schedule', 'webhooks']) {
        server.routes[`GET /channels/${made.name}/${list}`] = () => page();
      }
      return made;
    };
    const user = open();
    expect(await screen.findByLabelText('Channel name')).toHaveValue('ada');
    await user.click(screen.getByRole('button', { name: 'Make the channel' }));
    expect(await screen.findByRole('heading', { name: 'Connect OBS' })).toBeVisible();
    expect(screen.getByText('rtmp://localhost:1935/live')).toBeVisible();
    expect(await screen.findByText('No key yet. Make one to go live.')).toBeVisible();
  });

  it('says at the field that a name is taken', async () => {
    const server = studio();
    server.routes['POST /channels'] = () =>
      problem(409, 'name-taken', 'This name is taken.', { '/name': 'is taken; choose another' });
    const user = open();
    await user.click(await screen.findByRole('button', { name: 'Make the channel' }));
    expect(await screen.findByText('is taken; choose another')).toBeVisible();
    expect(screen.getByLabelText('Channel name')).toHaveFocus();
  });

  it('shows a new key once, and then only what tells keys apart', async () => {
    const server = studio('studio');
    const keys: object[] = [];
    server.routes['GET /channels/studio/keys'] = () => page(...keys);
    server.routes['POST /channels/studio/keys'] = ({ body }) => {
      keys.push({ ...key, ...(body as object) });
      return { ...key, ...(body as object), secret: 'live_secret_x9Zq' };
    };
    const user = open();
    await user.type(await screen.findByLabelText('Name of the new key'), 'Home{Enter}');
    expect(await screen.findByText('live_secret_x9Zq')).toBeVisible();
    expect(await screen.findByText(/ends in x9Zq · never used/)).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'I have copied it' }));
    expect(screen.queryByText('live_secret_x9Zq')).not.toBeInTheDocument();
  });

  it('starts a raid and calls it off', async () => {
    const server = studio('studio');
    let raid: object | null = null;
    server.routes['GET /channels/studio/raid'] = () => raid ?? problem(404, 'no-raid', 'No raid.');
    server.routes['POST /channels/studio/raid'] = ({ body }) =>
      (raid = { ...(body as object), at: new Date(Date.now() + 20_000).toISOString() });
    server.routes['DELETE /channels/studio/raid'] = () => {
      raid = null;
      return undefined;
    };
    const user = open();
    await user.type(await screen.findByLabelText('Channel to raid'), '@Garage{Enter}');
    expect(await screen.findByText(/Everybody goes to @garage in \d+ s/)).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Call it off' }));
    expect(await screen.findByLabelText('Channel to raid')).toBeVisible();
  });

  it('bans somebody from all chats of one’s channels, and lifts it', async () => {
    const server = studio('studio');
    let bans: object[] = [];
    server.routes['GET /me/chat/bans'] = () => page(...bans);
    server.routes['PUT /me/chat/bans/eve'] = ({ body }) => {
      bans = [{ ...personNamed('eve'), ...(body as object), at: '2026-11-01T12:00:00Z' }];
      return undefined;
    };
    server.routes['DELETE /me/chat/bans/eve'] = () => {
      bans = [];
      return undefined;
    };
    const user = open();
    const panel = within(await screen.findByRole('region', { name: 'Banned from all your chats' }));
    await user.type(await panel.findByLabelText('Whom to ban'), '@Eve');
    await user.type(panel.getByLabelText('Why'), 'spam');
    await user.click(panel.getByRole('button', { name: 'Ban from the chats' }));
    expect(await panel.findByText(/^eve · .* · spam$/)).toBeVisible();
    await user.click(panel.getByRole('button', { name: 'Lift the ban of eve' }));
    await user.click(await screen.findByRole('button', { name: 'Lift the ban' }));
    expect(await panel.findByText('Nobody.')).toBeVisible();
  });

  it('makes a webhook, shows its secret once, tests it and says what became of that', async () => {
    const server = studio('studio');
    const hooks: object[] = [];
    server.routes['GET /channels/studio/webhooks'] = () => page(...hooks);
    server.routes['POST /channels/studio/webhooks'] = ({ body }) => {
      const made = { id: 'h1', ...(body as object), created_at: '2026-11-01T12:00:00Z', waiting: 2, lost: 0 };
      hooks.push(made);
      return { ...made, secret: 'whsec_xyz' };
    };
    server.routes['POST /channels/studio/webhooks/h1/test'] = () => undefined;
    const attempt = { delivery: 'd1', at: new Date().toISOString(), took_ms: 12, first: 'webhook.test', events: 1 };
    server.routes['GET /channels/studio/webhooks/h1/deliveries'] = () =>
      page({ ...attempt, number: 2, status: 204 }, { ...attempt, number: 1, error: 'timeout' });
    const user = open();
    await user.type(await screen.findByLabelText('Name of the new webhook'), 'bot');
    await user.type(screen.getByLabelText('Address'), 'https://bot.example.org/');
    await user.click(screen.getByLabelText('bans'));
    await user.click(screen.getByRole('button', { name: 'Make a webhook' }));
    expect(await screen.findByText('whsec_xyz')).toBeVisible();
    const asked = server.asked.find(({ method, path }) => method === 'POST' && path.endsWith('/webhooks'));
    expect(asked?.body).toEqual({
      name: 'bot',
      url: 'https://bot.example.org/',
      events: ['message.sent', 'person.banned', 'stream.started', 'stream.ended'],
    });
    await user.click(await screen.findByRole('button', { name: 'Send a test to bot' }));
    expect(await screen.findByText('A test is on its way.')).toBeVisible();
    expect(await screen.findByText('answered 204')).toBeVisible();
    expect(screen.getByText('took too long')).toBeVisible();
    expect(screen.getByText('On · 2 waiting')).toBeVisible();
  });

  it('turns on a webhook again that took nothing for a day', async () => {
    const server = studio('studio');
    const hook: Record<string, unknown> = {
      id: 'h1',
      name: 'bot',
      url: 'https://bot.example.org/',
      events: ['message.sent'],
      created_at: '2026-11-01T12:00:00Z',
      disabled: 'failing',
      waiting: 0,
      lost: 7,
    };
    server.routes['GET /channels/studio/webhooks'] = () => page(hook);
    server.routes['PATCH /channels/studio/webhooks/h1'] = () => {
      delete hook.disabled;
      return hook;
    };
    const user = open();
    expect(await screen.findByText('Turned off: it took nothing for a day · 7 events lost')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Turn on the webhook bot' }));
    expect(await screen.findByText('On · 7 events lost')).toBeVisible();
  });

  it('asks before it revokes a key, and can be told no', async () => {
    const server = studio('studio');
    let revoked = false;
    server.routes['GET /channels/studio/keys'] = () => (revoked ? page() : page(key));
    server.routes['DELETE /channels/studio/keys/k1'] = () => {
      revoked = true;
      return undefined;
    };
    const user = open();
    await user.click(await screen.findByRole('button', { name: 'Revoke the key Home' }));
    const dialog = await screen.findByRole('alertdialog', { name: 'Revoke “Home”?' });
    expect(within(dialog).getByRole('button', { name: 'Cancel' })).toHaveFocus();
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByRole('alertdialog')).not.toBeInTheDocument());
    expect(revoked).toBe(false);
    await user.click(screen.getByRole('button', { name: 'Revoke the key Home' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Revoke' }));
    expect(await screen.findByText('No key yet. Make one to go live.')).toBeVisible();
  });

  it('shows the health of a live broadcast and stops it when the streamer is sure', async () => {
    const server = studio('studio');
    const warning = { code: 'keyframe_interval_long', sentence: 'Set the keyframe interval to 2 s.' };
    const stream = streamNamed('studio');
    let live = true;
    server.routes['GET /channels/studio/stream'] = () =>
      live
        ? { ...stream, health: { ...stream.health, warnings: [warning] } }
        : problem(404, 'channel-not-live', 'The channel is not live.');
    server.routes['POST /channels/studio/stream/stop'] = () => {
      live = false;
      return undefined;
    };
    const user = open();
    const health = await screen.findByTestId('health');
    expect(screen.getByTestId('on-air')).toHaveTextContent('You are live');
    for (const fact of ['6.2 Mbit/s', '60 fps', '2 s', '1080p60 H.264', 'OBS 29.0.2', '7']) {
      expect(within(health).getByText(fact)).toBeVisible();
    }
    expect(screen.getByText(warning.sentence)).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Stop the broadcast' }));
    const dialog = await screen.findByRole('alertdialog');
    await user.click(within(dialog).getByRole('button', { name: 'Stop the broadcast' }));
    await waitFor(() => expect(screen.getByTestId('on-air')).toHaveTextContent('Not live'));
  });

  it('saves what the broadcast is about, and shows a wrong tag at the tags', async () => {
    const server = studio('studio');
    let refuse = true;
    server.routes['PATCH /channels/studio'] = () =>
      refuse
        ? problem(422, 'invalid-channel', 'Some fields are wrong.', { '/tags/1': 'has 1 to 25 letters' })
        : channelNamed('studio');
    const user = open();
    const about = within(await screen.findByRole('region', { name: 'About the broadcast' }));
    await user.type(about.getByLabelText('Title'), 'Day 12');
    await user.type(about.getByLabelText('Tags'), '#wood, two words,');
    await user.selectOptions(about.getByLabelText('Language'), 'pt-BR');
    await user.click(about.getByRole('button', { name: 'Save' }));
    await waitFor(() => expect(about.getByLabelText('Tags')).toHaveFocus());
    expect(about.getByLabelText('Tags')).toHaveAccessibleDescription(/has 1 to 25 letters/);
    refuse = false;
    await user.click(about.getByRole('button', { name: 'Save' }));
    expect(await screen.findByText('Saved')).toBeVisible();
    expect(server.asked.findLast(({ method }) => method === 'PATCH')?.body).toEqual({
      title: 'Day 12',
      category: '',
      tags: ['wood', 'two words'],
      language: 'pt-BR',
      description: '',
      playback: 'public',
    });
  });

  it('offers the smaller pictures that one may choose, and says what comes of it', async () => {
    const server = studio('studio');
    const rungs = ['720p', '480p'];
    let ladder: Ladder = {
      mode: 'site',
      rungs: ['720p'],
      effective: { mode: 'on_demand', rungs: ['720p'] },
      site: { mode: 'on_demand', rungs },
      choices: [
        { mode: 'site', rungs },
        { mode: 'off', rungs: [] },
        { mode: 'on_demand', rungs },
      ],
    };
    server.routes['GET /me/channels'] = () => page(channelNamed('studio', { ladder }));
    let refuse = true;
    server.routes['PATCH /channels/studio'] = () => {
      if (refuse) return problem(422, 'invalid-fields', 'Some fields are wrong.', { '/ladder/rungs': 'has 0 rungs' });
      ladder = { ...ladder, mode: 'off', rungs: null, effective: { mode: 'off', rungs: [] } };
      return channelNamed('studio', { ladder });
    };
    const user = open();
    const panel = within(await screen.findByRole('region', { name: 'Smaller pictures for slow lines' }));
    expect(panel.getByText('The next broadcast has 720p, while somebody watches them.')).toBeVisible();
    const when = panel.getByLabelText('When they are made');
    expect(within(when).getAllByRole('option').map((option) => option.textContent)).toEqual([
      'As the site does: while somebody watches them',
      'Never',
      'While somebody watches them',
    ]);
    expect(panel.getByRole('checkbox', { name: '720p' })).toBeChecked();
    expect(panel.getByRole('checkbox', { name: '480p' })).not.toBeChecked();
    await user.click(panel.getByRole('checkbox', { name: '720p' }));
    await user.click(panel.getByRole('button', { name: 'Save' }));
    expect(await panel.findByText(/has 0 rungs/)).toBeVisible();
    await user.click(panel.getByRole('checkbox', { name: '720p' }));
    await user.click(panel.getByRole('checkbox', { name: '480p' }));
    refuse = false;
    await user.click(panel.getByRole('button', { name: 'Save' }));
    await user.selectOptions(when, 'Never');
    await user.click(panel.getByRole('button', { name: 'Save' }));
    expect(await panel.findByText('The next broadcast has none.')).toBeVisible();
    const edits = server.asked.filter(({ method }) => method === 'PATCH').map(({ body }) => body);
    expect(edits).toEqual([
      { ladder: { mode: 'site', rungs: [] } },
      { ladder: { mode: 'site', rungs: null } },
      { ladder: { mode: 'off', rungs: null } },
    ]);
  });

  it('says nothing of smaller pictures where there are none, nor where the server knows none', async () => {
    const server = studio('studio', 'garage');
    const choices: Ladder['choices'] = [
      { mode: 'site', rungs: [] },
      { mode: 'off', rungs: [] },
    ];
    const ladder: Ladder = { mode: 'site', rungs: null, effective: { mode: 'off', rungs: [] }, site: { mode: 'off', rungs: ['720p'] }, choices };
    server.routes['GET /me/channels'] = () => page(channelNamed('studio', { ladder }), channelNamed('garage'));
    for (const name of ['studio', 'garage']) {
      open(`/dashboard?channel=${name}`);
      expect(await screen.findByRole('region', { name: 'About the broadcast' })).toBeVisible();
      expect(screen.queryByText('Smaller pictures for slow lines')).not.toBeInTheDocument();
      cleanup();
    }
  });

  it('lists past broadcasts, and more on request', async () => {
    const server = studio('studio');
    const past = { category: 'Crafts', started_at: '2026-11-20T18:00:00Z', ended_at: '2026-11-20T19:02:03Z', peak_viewers: 41 };
    let asked = 0;
    server.routes['GET /channels/studio/broadcasts'] = () => {
      asked += 1;
      return asked === 1
        ? { items: [{ id: 'b2', title: 'Second', ...past }], next_cursor: 'b2' }
        : page({ id: 'b1', title: '', ...past });
    };
    const user = open();
    const history = await screen.findByTestId('history');
    expect(history).toHaveTextContent(/Second.*Crafts.*1:02:03.*at most 41 watching/);
    await user.click(screen.getByRole('button', { name: 'Show more' }));
    expect(await screen.findByText('Without a title')).toBeVisible();
  });

  it('says of a running broadcast how many watched once somebody did', async () => {
    const server = studio('studio');
    const running = { title: 'Now', category: '', started_at: '2026-11-20T18:00:00Z', ended_at: null };
    server.routes['GET /channels/studio/broadcasts'] = () =>
      page({ id: 'b2', ...running, peak_viewers: 0 }, { id: 'b1', ...running, peak_viewers: 2 });
    open();
    const history = await screen.findByTestId('history');
    expect(history).not.toHaveTextContent('at most 0 watching');
    expect(history).toHaveTextContent('at most 2 watching');
  });

  it('appoints and dismisses moderators', async () => {
    const server = studio('studio');
    const people: object[] = [];
    server.routes['GET /channels/studio/moderators'] = () => page(...people);
    server.routes['PUT /channels/studio/moderators/bob'] = () => {
      people.push({ name: 'bob', display_name: 'Bob' });
      return undefined;
    };
    server.routes['DELETE /channels/studio/moderators/bob'] = () => {
      people.pop();
      return undefined;
    };
    const user = open();
    await user.type(await screen.findByLabelText('Name of the person'), 'Bob{Enter}');
    await user.click(await screen.findByRole('button', { name: 'Dismiss bob' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Dismiss' }));
    expect(await screen.findByText('Nobody yet.')).toBeVisible();
  });

  it('changes between channels', async () => {
    studio('studio', 'kitchen');
    const user = open('/dashboard?channel=kitchen');
    const choice = await screen.findByLabelText('Channel');
    expect(choice).toHaveValue('kitchen');
    await user.selectOptions(choice, 'studio');
    expect(await screen.findByRole('link', { name: 'Open the channel page: studio' })).toHaveAttribute('href', '/@studio');
  });
});
