import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { personNamed, problem, serve, siteNamed } from '@/testing/server';
import { Providers } from './App';
import { AppRoutes } from './routes';

function open(path: string) {
  render(
    <Providers>
      <MemoryRouter initialEntries={[path]}>
        <AppRoutes />
      </MemoryRouter>
    </Providers>,
  );
  return userEvent.setup();
}

afterEach(() => {
  vi.unstubAllGlobals();
});

const page = (...items: object[]) => ({ items, next_cursor: null });

describe('a site of its own', () => {
  it('shows its name, its rules and whom to ask on every page', async () => {
    const about = { description: 'Boats.', rules: 'Be kind.', contact: 'help@example.org' };
    serve([], { 'GET /site': () => siteNamed('Boatyard', about) });
    const user = open('/');
    expect(await screen.findByRole('link', { name: 'Boatyard, live channels' })).toBeVisible();
    await waitFor(() => expect(document.title).toBe('Live now · Boatyard'));
    const footer = screen.getByRole('contentinfo');
    expect(within(footer).getByRole('link', { name: 'help@example.org' })).toHaveAttribute('href', 'mailto:help@example.org');
    await user.click(within(footer).getByRole('link', { name: 'Rules' }));
    expect(await screen.findByRole('heading', { name: 'Rules of Boatyard' })).toBeVisible();
    expect(screen.getByText('Be kind.')).toBeVisible();
  });

  it('never makes a link of what is none', async () => {
    serve([], { 'GET /site': () => siteNamed('Boatyard', { contact: 'javascript:alert(1)' }) });
    open('/rules');
    const said = await screen.findByRole('heading', { name: 'Rules of Boatyard' });
    expect(said).toBeVisible();
    expect(screen.queryByRole('link', { name: /javascript/ })).toBeNull();
  });

  it('says who may not register, and shows who may the way to the rules', async () => {
    const server = serve([], { 'GET /site': () => siteNamed('Boatyard', { registration: 'closed' }) });
    open('/register');
    expect(await screen.findByText('Registration is closed. Ask an admin of this site.')).toBeVisible();
    expect(screen.queryByLabelText('Name')).toBeNull();
    expect(screen.queryByRole('link', { name: 'Register' })).toBeNull();
    expect(server.asked.some(({ method }) => method === 'POST')).toBe(false);
  });

  it('gives encoders the addresses that the server names', async () => {
    const servers = ['rtmps://live.example:1936/live', 'rtmp://live.example:19350/live'];
    serve([], { 'GET /site': () => siteNamed('Boatyard', { servers }) });
    open('/');
    for (const server of servers) expect(await screen.findByText(server)).toBeVisible();
  });
});

describe('the settings of the site', () => {
  const values = { ...siteNamed('Boatyard'), registration: null, streaming: null };

  function admin() {
    let settings = { version: 3, values, registration: 'open', streaming: 'everyone' };
    const server = serve([], {
      'GET /me': () => personNamed('ada', { role: 'admin' }),
      'GET /admin/audit': () => page(),
      'GET /admin/site': () => settings,
      'GET /admin/site/history': () => page(),
      'GET /admin/reports': () => page(),
    });
    server.routes['PATCH /admin/site'] = ({ body }) =>
      (settings = { ...settings, version: 4, values: { ...values, ...(body as object) } });
    return server;
  }

  it('are changed with the version that was seen, and what nobody touched is not sent', async () => {
    const server = admin();
    const user = open('/admin');
    const form = await screen.findByRole('form', { name: 'The site' });
    await user.clear(within(form).getByLabelText('Name of the site'));
    await user.type(within(form).getByLabelText('Name of the site'), 'Shipyard');
    await user.type(within(form).getByLabelText('Categories'), 'Crafts{Enter}{Enter} Music');
    await user.selectOptions(within(form).getByLabelText('Who may register'), 'invite');
    await user.click(within(form).getByRole('button', { name: 'Save' }));
    await waitFor(() => expect(server.asked.some(({ method }) => method === 'PATCH')).toBe(true));
    const sent = server.asked.find(({ method }) => method === 'PATCH')?.body;
    expect(sent).toMatchObject({ version: 3, name: 'Shipyard', registration: 'invite', categories: ['Crafts', 'Music'] });
    expect(sent).not.toHaveProperty('streaming');
  });

  it('say that somebody else was faster', async () => {
    const server = admin();
    server.routes['PATCH /admin/site'] = () => problem(409, 'changed-meanwhile', 'Another admin has changed the settings.');
    const user = open('/admin');
    const form = await screen.findByRole('form', { name: 'The site' });
    await user.click(within(form).getByRole('button', { name: 'Save' }));
    expect(await within(form).findByRole('alert')).toHaveTextContent('Another admin has changed the settings.');
  });

  it('have a history, and each change can be undone after a question', async () => {
    const server = admin();
    const change = {
      number: 3,
      at: '2026-11-21T08:00:00Z',
      by: { name: 'ada', display_name: 'Ada', bio: '' },
      changed: ['name', 'registration'],
      before: { ...values, name: 'Millrace' },
      after: { ...values, registration: 'closed' },
    };
    server.routes['GET /admin/site/history'] = () => page(change);
    server.routes['POST /admin/site/history/3/undo'] = () => ({ version: 4, values, registration: 'open', streaming: 'everyone' });
    const user = open('/admin');
    const history = await screen.findByTestId('site-history');
    expect(history).toHaveTextContent('Name of the site, Who may register');
    expect(history).toHaveTextContent('as configuredclosed');
    await user.click(within(history).getByRole('button', { name: /^Undo the change of/ }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Undo' }));
    await waitFor(() => expect(server.asked.some(({ path }) => path === '/admin/site/history/3/undo')).toBe(true));
  });
});
