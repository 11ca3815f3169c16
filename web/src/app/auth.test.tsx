import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { personNamed, problem, serve } from '@/testing/server';
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
  window.location.hash = '';
});

describe('the corner of the header', () => {
  it('offers the way in to who is not signed in', async () => {
    serve([]);
    open('/');
    expect(await screen.findByRole('link', { name: 'Sign in' })).toHaveAttribute('href', '/login');
    expect(screen.getByRole('link', { name: 'Register' })).toHaveAttribute('href', '/register');
  });

  it('has the menu of who is, by keyboard too, and signs out', async () => {
    const server = serve([], { 'GET /me': () => personNamed('ada'), 'POST /auth/logout': () => undefined });
    const user = open('/');
    const menu = await screen.findByRole('button', { name: 'Menu of ada' });
    menu.focus();
    await user.keyboard('{Enter}');
    expect(await screen.findByRole('menuitem', { name: 'Dashboard' })).toHaveAttribute('href', '/dashboard');
    await user.click(screen.getByRole('menuitem', { name: 'Sign out' }));
    expect(await screen.findByRole('link', { name: 'Sign in' })).toBeVisible();
    expect(server.asked.some(({ path }) => path === '/auth/logout')).toBe(true);
  });
});

describe('signing in', () => {
  it('sends name and password and goes on to the page that was wanted', async () => {
    let known = false;
    const server = serve([], {
      'GET /me': () => (known ? personNamed('ada') : problem(401, 'signed-out', 'Sign in first.')),
      'POST /auth/login': () => {
        known = true;
        return {};
      },
    });
    const user = open('/login?next=/@studio');
    await user.type(await screen.findByLabelText('Name or e-mail'), ' ada ');
    await user.type(screen.getByLabelText('Password'), 'correct horse{Enter}');
    expect(await screen.findByRole('heading', { name: 'studio' })).toBeVisible();
    expect(server.asked.find(({ path }) => path === '/auth/login')?.body).toEqual({
      login: 'ada',
      password: 'correct horse',
    });
  });

  it('says why not, in words that take the focus', async () => {
    serve([], { 'POST /auth/login': () => problem(401, 'bad-credentials', 'The name or the password is wrong.') });
    const user = open('/login');
    await user.type(await screen.findByLabelText('Name or e-mail'), 'ada');
    await user.click(screen.getByRole('button', { name: 'Sign in' }));
    const said = await screen.findByRole('alert');
    expect(said).toHaveTextContent('The name or the password is wrong.');
    expect(said).toHaveFocus();
  });

  it('asks for the second factor where there is one', async () => {
    const server = serve([], {
      'POST /auth/login': ({ body }) =>
        'code' in (body as object)
          ? problem(401, 'bad-code', 'This code is wrong or was used already.', { '/code': 'is wrong' })
          : problem(401, 'second-factor-required', 'Enter the code of your app.'),
    });
    const user = open('/login');
    await user.type(await screen.findByLabelText('Name or e-mail'), 'ada');
    await user.type(screen.getByLabelText('Password'), 'correct horse{Enter}');
    const code = await screen.findByLabelText('Code');
    expect(code).toHaveFocus();
    await user.type(code, '123 456{Enter}');
    expect(await screen.findByText('is wrong')).toBeVisible();
    expect(code).toHaveFocus();
    expect(server.asked.at(-1)?.body).toMatchObject({ login: 'ada', password: 'correct horse', code: '123456' });
    await user.click(screen.getByRole('button', { name: 'Use a recovery code' }));
    expect(await screen.findByLabelText('Recovery code')).toBeVisible();
  });
});

describe('a provider that has let somebody in', () => {
  it('is followed by the second factor alone', async () => {
    const server = serve([], { 'POST /auth/second-factor': () => ({}) });
    const user = open('/login?step=code&next=/@studio');
    expect(await screen.findByText(/The provider has let you in/)).toBeVisible();
    await user.type(screen.getByLabelText('Code'), '123 456{Enter}');
    expect(await screen.findByRole('heading', { name: 'studio' })).toBeVisible();
    expect(server.asked.find(({ method }) => method === 'POST')).toMatchObject({
      path: '/auth/second-factor',
      body: { code: '123456' },
    });
  });
});

describe('ways back that lead elsewhere', () => {
  it.each(['//evil.example', 'https://evil.example', '/\\evil.example', 'javascript:alert(1)'])(
    'are not followed: %s',
    async (next) => {
      serve([], { 'GET /me': () => personNamed('ada') });
      open(`/login?next=${encodeURIComponent(next)}`);
      expect(await screen.findByText('Still water')).toBeVisible();
    },
  );
});

describe('registering', () => {
  it('shows what is wrong at the field, and takes the focus there', async () => {
    serve([], {
      'POST /auth/register': () =>
        problem(409, 'name-taken', 'Some of it cannot be taken.', { '/name': 'This name is taken.' }),
    });
    const user = open('/register');
    const name = await screen.findByLabelText('Name');
    await user.type(name, 'Ada');
    await user.type(screen.getByLabelText('Password'), 'correct horse{Enter}');
    await waitFor(() => expect(name).toHaveFocus());
    expect(name).toBeInvalid();
    expect(name).toHaveAccessibleDescription(/This name is taken\./);
    expect(name).toHaveValue('Ada');
  });

  it('makes the account without an e-mail if none was given', async () => {
    const server = serve([], { 'POST /auth/register': () => personNamed('ada') });
    const user = open('/register');
    await user.type(await screen.findByLabelText('Name'), 'Ada');
    await user.type(screen.getByLabelText('Password'), 'correct horse{Enter}');
    await waitFor(() =>
      expect(server.asked.find(({ path }) => path === '/auth/register')?.body).toEqual({
        name: 'ada',
        password: 'correct horse',
      }),
    );
  });
});

describe('links with a secret', () => {
  it('make the owner, and the secret leaves the address', async () => {
    window.location.hash = '#one-time';
    const server = serve([], { 'POST /setup': () => personNamed('ada', { role: 'admin' }) });
    const user = open('/setup');
    await user.type(await screen.findByLabelText('Name'), 'ada');
    expect(window.location.hash).toBe('');
    await user.type(screen.getByLabelText('Password'), 'correct horse{Enter}');
    await waitFor(() =>
      expect(server.asked.find(({ path }) => path === '/setup')?.body).toEqual({
        token: 'one-time',
        name: 'ada',
        password: 'correct horse',
      }),
    );
  });

  it('set a new password', async () => {
    window.location.hash = '#mailed';
    const server = serve([], { 'POST /auth/password/reset': () => undefined });
    const user = open('/reset');
    await user.type(await screen.findByLabelText('New password'), 'battery staple{Enter}');
    expect(await screen.findByRole('heading', { name: 'The password is set' })).toBeVisible();
    expect(server.asked.at(-1)?.body).toEqual({ token: 'mailed', password: 'battery staple' });
  });

  it('prove an address with a click', async () => {
    window.location.hash = '#mailed';
    const server = serve([], { 'POST /auth/email/verify': () => undefined });
    const user = open('/verify');
    const confirm = await screen.findByRole('button', { name: 'Confirm the address' });
    expect(server.asked.some(({ method }) => method === 'POST')).toBe(false);
    await user.click(confirm);
    expect(await screen.findByRole('heading', { name: 'The address is confirmed' })).toBeVisible();
    expect(server.asked.find(({ method }) => method === 'POST')?.body).toEqual({ token: 'mailed' });
  });

  it.each(['/setup', '/reset', '/verify'])('%s without its secret says so', async (path) => {
    serve([]);
    open(path);
    expect(await screen.findByRole('heading', { name: 'This link is not whole' })).toBeVisible();
  });
});

describe('a forgotten password', () => {
  it('is helped by an admin where no mail is sent', async () => {
    serve([], { 'GET /auth/options': () => ({ mail: false }) });
    open('/forgot');
    expect(await screen.findByText(/Ask an admin of this site for a link/)).toBeVisible();
  });

  it('is helped by mail, and nobody learns whether there is such an account', async () => {
    const server = serve([], { 'GET /auth/options': () => ({ mail: true }), 'POST /auth/password/forgot': () => undefined });
    const user = open('/forgot');
    await user.type(await screen.findByLabelText('Name or e-mail'), ' ada {Enter}');
    expect(await screen.findByRole('heading', { name: 'Look into your mail' })).toBeVisible();
    expect(screen.getByText(/If there is an account like that/)).toBeVisible();
    expect(server.asked.at(-1)?.body).toEqual({ login: 'ada' });
  });
});

describe('providers', () => {
  const offered = { 'GET /oauth/providers': () => ({ items: [{ name: 'google', label: 'Google' }] }) };

  it('are other ways in that keep where the person wants to be', async () => {
    serve([], offered);
    open('/login?next=/dashboard');
    expect(await screen.findByRole('link', { name: 'Continue with Google' })).toHaveAttribute(
      'href',
      '/oauth/google?back=%2Fdashboard',
    );
  });

  it.each([
    ['email-taken', /Sign in with its password, then link the provider/],
    ['provider-denied', /You said no/],
    ['something-new', /did not work/],
    ['__proto__', /did not work/],
  ])('that led back with %s are explained', async (problem, sentence) => {
    serve([], offered);
    open(`/login?problem=${problem}`);
    expect(await screen.findByRole('alert')).toHaveTextContent(sentence);
  });

  it('are linked and unlinked in the settings', async () => {
    let linked = true;
    const server = serve([], {
      ...offered,
      'GET /me': () => personNamed('ada'),
      'GET /me/sessions': () => ({ items: [] }),
      'GET /me/tokens': () => ({ items: [] }),
      'GET /me/identities': () => ({
        items: linked ? [{ id: 'google:1', provider: 'google', label: 'Google', linked_at: '2026-11-01T12:00:00Z' }] : [],
      }),
      'DELETE /me/identities/google%3A1': () => {
        linked = false;
        return undefined;
      },
      'POST /me/identities/google': () => problem(502, 'provider-unreachable', 'The provider does not answer right now.'),
    });
    const user = open('/settings');
    await user.click(await screen.findByRole('button', { name: 'Unlink Google' }));
    expect(await screen.findByText('None yet.')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Link Google' }));
    expect(await screen.findByText(/provider does not answer/)).toBeVisible();
    expect(server.asked.some(({ method, path }) => method === 'POST' && path === '/me/identities/google')).toBe(true);
  });
});

describe('an invitation', () => {
  it('goes with the registration', async () => {
    window.location.hash = '#invited';
    const server = serve([], { 'POST /auth/register': () => personNamed('ada') });
    const user = open('/register');
    await user.type(await screen.findByLabelText('Name'), 'ada');
    await user.type(screen.getByLabelText('Password'), 'correct horse{Enter}');
    await waitFor(() =>
      expect(server.asked.find(({ path }) => path === '/auth/register')?.body).toMatchObject({ invitation: 'invited' }),
    );
  });
});
