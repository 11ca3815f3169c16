import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import type { Ladder } from '@/api/channels';
import { channelNamed, personNamed, problem, serve, siteNamed } from '@/testing/server';
import { Providers } from './App';
import { AppRoutes } from './routes';

const settings = { version: 0, values: siteNamed('Millrace'), registration: 'open', streaming: 'everyone' };

function open(role: 'streamer' | 'admin' = 'admin') {
  const server = serve([], {
    'GET /me': () => personNamed('ada', { role }),
    'GET /admin/audit': () => ({ items: [] }),
    'GET /admin/emotes': () => [],
    'GET /admin/chat/bans': () => ({ items: [], next_cursor: null }),
    'GET /admin/site': () => settings,
    'GET /admin/reports': () => ({ items: [], next_cursor: null }),
    'GET /admin/site/history': () => ({ items: [], next_cursor: null }),
  });
  render(
    <Providers>
      <MemoryRouter initialEntries={['/admin']}>
        <AppRoutes />
      </MemoryRouter>
    </Providers>,
  );
  return { server, user: userEvent.setup() };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the pages of admins', () => {
  it('are for admins only', async () => {
    open('streamer');
    expect(await screen.findByRole('heading', { name: 'Only admins see this' })).toBeVisible();
  });

  it('ban somebody from every chat', async () => {
    const { server, user } = open();
    let bans: object[] = [];
    server.routes['GET /admin/chat/bans'] = () => ({ items: bans, next_cursor: null });
    server.routes['PUT /admin/chat/bans/eve'] = ({ body }) => {
      bans = [{ ...personNamed('eve'), ...(body as object), at: '2026-11-01T12:00:00Z' }];
      return undefined;
    };
    const panel = within(await screen.findByRole('region', { name: 'Banned from every chat' }));
    await user.type(await panel.findByLabelText('Whom to ban'), 'eve');
    await user.type(panel.getByLabelText('Why'), 'spam{Enter}');
    expect(await panel.findByText(/^eve · .* · spam$/)).toBeVisible();
  });

  it('find a channel and have more smaller pictures made than the site does', async () => {
    const { server, user } = open();
    const rungs = ['720p', '360p'];
    let ladder: Ladder = {
      mode: 'site',
      rungs: null,
      effective: { mode: 'off', rungs: [] },
      site: { mode: 'off', rungs },
      choices: [
        { mode: 'site', rungs: [] },
        { mode: 'off', rungs: [] },
        { mode: 'on_demand', rungs },
        { mode: 'always', rungs },
      ],
    };
    server.routes['GET /channels/studio'] = () => channelNamed('studio', { ladder });
    server.routes['PATCH /channels/studio'] = () => {
      ladder = { ...ladder, mode: 'always', rungs: ['360p'], effective: { mode: 'always', rungs: ['360p'] } };
      return channelNamed('studio', { ladder });
    };
    server.routes['GET /channels/nowhere'] = () => problem(404, 'no-such-channel', 'There is no channel of this name.');
    const panel = within(await screen.findByRole('region', { name: 'Smaller pictures of a channel' }));
    await user.type(panel.getByLabelText('Channel'), 'nowhere{Enter}');
    expect(await panel.findByRole('alert')).toHaveTextContent('There is no channel of this name.');
    await user.clear(panel.getByLabelText('Channel'));
    await user.type(panel.getByLabelText('Channel'), 'Studio{Enter}');
    const when = await panel.findByLabelText('When they are made');
    expect(panel.getByText('The next broadcast has none.')).toBeVisible();
    expect(panel.queryByRole('checkbox')).not.toBeInTheDocument();
    await user.selectOptions(when, 'As long as you are live');
    await user.click(panel.getByRole('checkbox', { name: '720p' }));
    await user.click(panel.getByRole('button', { name: 'Save' }));
    expect(await panel.findByText('The next broadcast has 360p, as long as a channel is live.')).toBeVisible();
    const edits = server.asked.filter(({ method }) => method === 'PATCH').map(({ body }) => body);
    expect(edits).toEqual([{ ladder: { mode: 'always', rungs: ['360p'] } }]);
  });

  it('find a person, set the role, ban and help back in', async () => {
    const { server, user } = open();
    let bob = { id: 'b', name: 'bob', role: 'viewer', banned: false, created_at: '2026-11-01T12:00:00Z' };
    server.routes['GET /admin/users/bob'] = () => bob;
    server.routes['PATCH /admin/users/bob'] = ({ body }) => (bob = { ...bob, ...(body as object) });
    server.routes['POST /admin/users/bob/reset-link'] = () => ({ url: 'https://live.example/reset#once' });
    await user.type(await screen.findByLabelText('Name'), 'Bob{Enter}');
    await user.selectOptions(await screen.findByLabelText('Role'), 'streamer');
    await user.click(screen.getByRole('button', { name: 'Set the role' }));
    expect(await screen.findByText(/They have to sign in again/)).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Ban' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Ban' }));
    expect(await screen.findByText(/· banned/)).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Make a link for a new password' }));
    expect(await screen.findByText('https://live.example/reset#once')).toBeVisible();
    const edits = server.asked.filter(({ method }) => method === 'PATCH').map(({ body }) => body);
    expect(edits).toEqual([{ role: 'streamer' }, { banned: true }]);
  });

  it('give every chat an emote, and take it away', async () => {
    const { server, user } = open();
    let emotes: object[] = [];
    server.routes['GET /admin/emotes'] = () => emotes;
    server.routes['PUT /admin/emotes/oak'] = () => (emotes = [{ name: 'oak', url: '/emotes/1', animated: false }]);
    server.routes['DELETE /admin/emotes/oak'] = () => void (emotes = []);
    await user.type(await screen.findByLabelText('Name of the emote'), ':oak:');
    await user.upload(screen.getByLabelText('Picture (PNG, WebP or GIF)'), new File(['x'], 'oak.png', { type: 'image/png' }));
    await user.click(screen.getByRole('button', { name: 'Add the emote' }));
    await user.click(await screen.findByRole('button', { name: 'Remove the emote oak' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Remove' }));
    await waitFor(() => expect(screen.queryByText(':oak:')).not.toBeInTheDocument());
    expect(server.asked.filter(({ path }) => path === '/admin/emotes/oak').map(({ method }) => method)).toEqual(['PUT', 'DELETE']);
  });

  it('say that there is nobody of the name', async () => {
    const { server, user } = open();
    server.routes['GET /admin/users/nobody'] = () => problem(404, 'not-found', 'There is nobody of this name.');
    await user.type(await screen.findByLabelText('Name'), 'nobody{Enter}');
    expect(await screen.findByRole('alert')).toHaveTextContent('There is nobody of this name.');
  });

  it('read what admins did page by page', async () => {
    const entry = (action: string) => ({ at: '2026-11-01T12:00:00Z', by: 'r', by_name: 'root', action, target: 'bob', detail: '' });
    const server = serve([], {
      'GET /me': () => personNamed('ada', { role: 'admin' }),
      'GET /admin/audit': ({ query }) =>
        query.get('cursor') === 'older'
          ? { items: [entry('user.role')], next_cursor: null }
          : { items: [entry('user.ban')], next_cursor: 'older' },
    });
    render(
      <Providers>
        <MemoryRouter initialEntries={['/admin']}>
          <AppRoutes />
        </MemoryRouter>
      </Providers>,
    );
    const user = userEvent.setup();
    expect(await screen.findByText('user.ban · bob')).toBeVisible();
    expect(screen.getByText('by root')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Show older' }));
    expect(await screen.findByText('user.role · bob')).toBeVisible();
    expect(screen.queryByRole('button', { name: 'Show older' })).not.toBeInTheDocument();
    expect(server.asked.filter(({ path }) => path === '/admin/audit')).toHaveLength(2);
  });

  it('make invitations, and list what admins did', async () => {
    const { server, user } = open();
    server.routes['POST /admin/invitations'] = () => ({ url: 'https://live.example/register#once' });
    server.routes['GET /admin/audit'] = () => ({
      items: [{ at: '2026-11-21T08:00:00Z', action: 'user.role', target: 'bob', detail: 'Viewer to Streamer' }],
    });
    await user.click(await screen.findByRole('button', { name: 'Make an invitation' }));
    expect(await screen.findByText('https://live.example/register#once')).toBeVisible();
    expect(await screen.findByTestId('audit')).toHaveTextContent('user.role · bobViewer to Streamer · on the command line');
  });
});
