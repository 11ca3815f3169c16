import { cleanup, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { personNamed, problem, serve } from '@/testing/server';
import { Providers } from './App';
import { AppRoutes } from './routes';

const page = (...items: object[]) => ({ items, next_cursor: null });

/** The settings of ada, and the server that keeps them. */
function open(more: Parameters<typeof personNamed>[1] = {}) {
  const server = { ...serve([]), person: personNamed('ada', more) };
  server.routes['GET /me'] = () => server.person;
  server.routes['GET /me/sessions'] = () => page();
  server.routes['GET /me/tokens'] = () => page();
  render(
    <Providers>
      <MemoryRouter initialEntries={['/settings']}>
        <AppRoutes />
      </MemoryRouter>
    </Providers>,
  );
  return { server, user: userEvent.setup() };
}

/** The section with this heading. */
const section = (name: string) => screen.findByRole('region', { name });

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the settings', () => {
  it('change the profile', async () => {
    const { server, user } = open();
    server.routes['PATCH /me'] = ({ body }) => personNamed('ada', body as object);
    const name = await screen.findByLabelText('Shown name');
    await user.clear(name);
    await user.type(name, 'Ada L.');
    await user.click(screen.getByRole('button', { name: 'Save the profile' }));
    expect(await screen.findByText('Saved')).toBeVisible();
    expect(screen.getByRole('button', { name: 'Menu of Ada L.' })).toBeVisible();
  });

  it('send a picture as it is, and refuse a large one before', async () => {
    const { server, user } = open();
    server.routes['PUT /me/avatar'] = () => {
      server.person = { ...server.person, avatar_url: '/avatars/one' };
      return undefined;
    };
    const input = await screen.findByLabelText('Picture');
    await user.upload(input, new File([new Uint8Array(5 * 1024 * 1024 + 1)], 'big.png', { type: 'image/png' }));
    expect(await screen.findByText(/more than 5 MB/)).toBeVisible();
    await user.upload(input, new File(['png'], 'small.png', { type: 'image/png' }));
    expect(await screen.findByText('This is your picture now.')).toBeVisible();
    const sent = server.asked.filter(({ method }) => method === 'PUT');
    expect(sent.map(({ headers }) => headers.get('content-type'))).toEqual(['image/png']);
    expect(screen.getByRole('button', { name: 'Remove it' })).toBeVisible();
  });

  it('take the e-mail away', async () => {
    const { server, user } = open({ email: 'ada@example.org' });
    server.routes['PATCH /me'] = ({ body }) => personNamed('ada', body as object);
    await user.clear(await screen.findByRole('textbox', { name: 'E-mail' }));
    await user.click(screen.getByRole('button', { name: 'Save the e-mail' }));
    await waitFor(() => expect(server.asked.at(-1)).toMatchObject({ method: 'PATCH', body: { email: null } }));
  });

  it('show that a new e-mail waits for its proof, and send the mail again', async () => {
    const { server, user } = open({ email: 'ada@example.org', email_verified: true });
    server.routes['GET /auth/options'] = () => ({ mail: true });
    server.routes['PATCH /me'] = ({ body }) =>
      personNamed('ada', { email: 'ada@example.org', new_email: (body as { email: string }).email });
    server.routes['POST /me/email/verification'] = () => undefined;
    const field = await screen.findByRole('textbox', { name: 'E-mail' });
    expect(field).toHaveAccessibleDescription('Confirmed.');
    await user.clear(field);
    await user.type(field, 'new@example.org');
    await user.type(await screen.findByLabelText('Password, for another address'), 'battery staple{Enter}');
    expect(await screen.findByText(/We sent a mail to new@example.org/)).toBeVisible();
    const sent = server.asked.find(({ method }) => method === 'PATCH')?.body;
    expect(sent).toEqual({ email: 'new@example.org', password: 'battery staple' });
    await user.click(screen.getByRole('button', { name: 'Send it again' }));
    expect(await screen.findByText('Sent')).toBeVisible();
    expect(server.asked.at(-1)).toMatchObject({ method: 'POST', path: '/me/email/verification' });
  });

  it('change the password, and say at the field that the old one is wrong', async () => {
    const { server, user } = open();
    let right = false;
    server.routes['POST /me/password'] = () =>
      right ? undefined : problem(403, 'wrong-password', 'Some of it is wrong.', { '/current': 'is not your password' });
    const part = within(await section('Password'));
    await user.type(part.getByLabelText('Current password'), 'old');
    await user.type(part.getByLabelText('New password'), 'battery staple{Enter}');
    await waitFor(() => expect(part.getByLabelText('Current password')).toHaveFocus());
    expect(part.getByText('is not your password')).toBeVisible();
    right = true;
    await user.click(part.getByRole('button', { name: 'Change the password' }));
    expect(await part.findByText('The password is changed')).toBeVisible();
    expect(part.getByLabelText('New password')).toHaveValue('');
  });

  it('let who has no password set one once the provider has confirmed who it is', async () => {
    const { server, user } = open({ has_password: false });
    let confirmed = false;
    server.routes['GET /me/identities'] = () => ({
      items: [{ id: 'google:1', provider: 'google', label: 'Google', linked_at: '2026-11-01T12:00:00Z' }],
      password: false,
      ...(confirmed && { confirmed_until: new Date(Date.now() + 600_000).toISOString() }),
    });
    server.routes['POST /me/identities/google/confirm'] = () => problem(502, 'provider-unreachable', 'It does not answer.');
    const part = within(await section('Password'));
    await user.click(await part.findByRole('button', { name: 'Confirm with Google' }));
    expect(await part.findByText('It does not answer.')).toBeVisible();
    expect(part.queryByLabelText('New password')).not.toBeInTheDocument();
    confirmed = true;
    cleanup();
    const again = open({ has_password: false });
    Object.assign(again.server.routes, {
      'GET /me/identities': server.routes['GET /me/identities'],
      'POST /me/password': () => {
        again.server.person = personNamed('ada');
        return undefined;
      },
    });
    const there = within(await section('Password'));
    await again.user.type(await there.findByLabelText('New password'), 'battery staple{Enter}');
    expect(await there.findByLabelText('Current password')).toBeVisible();
    expect(again.server.asked.find(({ method }) => method === 'POST')?.body).toEqual({ password: 'battery staple' });
  });

  it('list the browsers that are signed in, end one, and end all', async () => {
    const { server, user } = open();
    const session = { created_at: '2026-11-01T12:00:00Z', last_used_at: new Date().toISOString() };
    let list = [
      { ...session, id: 's1', device: 'Firefox on Linux', current: true },
      { ...session, id: 's2', device: 'Safari on iPhone', current: false },
    ];
    server.routes['GET /me/sessions'] = () => page(...list);
    server.routes['DELETE /me/sessions/s2'] = () => {
      list = list.slice(0, 1);
      return undefined;
    };
    server.routes['DELETE /me/sessions'] = () => undefined;
    await user.click(await screen.findByRole('button', { name: 'Sign out Safari on iPhone' }));
    await waitFor(() => expect(screen.queryByText('Safari on iPhone')).not.toBeInTheDocument());
    expect(screen.queryByRole('button', { name: 'Sign out Firefox on Linux' })).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Sign out everywhere' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Sign out everywhere' }));
    expect(await screen.findByRole('link', { name: 'Sign in' })).toBeVisible();
  });

  it('turn the second factor on with a code, show the recovery codes once, and turn it off', async () => {
    const { server, user } = open();
    server.routes['POST /me/totp'] = () => ({ secret: 'JBSWY3DP', otpauth_url: 'otpauth://totp/Millrace:ada?secret=JBSWY3DP' });
    server.routes['POST /me/totp/confirm'] = ({ body }) => {
      if ((body as { code: string }).code !== '123456') {
        return problem(422, 'wrong-code', 'The code is wrong.', { '/code': 'is wrong; look at the clock of the phone' });
      }
      server.person = { ...server.person, two_factor: true };
      return { recovery_codes: ['aaaa-bbbb', 'cccc-dddd'] };
    };
    server.routes['DELETE /me/totp'] = () => {
      server.person = { ...server.person, two_factor: false };
      return undefined;
    };
    const part = within(await section('Second factor'));
    await user.click(part.getByRole('button', { name: 'Turn it on' }));
    expect(await part.findByRole('img', { name: 'QR code of the secret below' })).toBeVisible();
    expect(part.getByText('JBSWY3DP')).toBeVisible();
    await user.type(part.getByLabelText('Code that the app shows'), '000000{Enter}');
    expect(await part.findByText(/look at the clock/)).toBeVisible();
    await user.clear(part.getByLabelText('Code that the app shows'));
    await user.type(part.getByLabelText('Code that the app shows'), '123 456{Enter}');
    const codes = await screen.findByTestId('recovery-codes');
    expect(codes).toHaveTextContent('aaaa-bbbbcccc-dddd');
    await user.click(screen.getByRole('button', { name: 'I have kept them' }));
    expect(screen.queryByText('aaaa-bbbb')).not.toBeInTheDocument();
    await user.type(screen.getByLabelText('Password, to turn it off'), 'correct horse{Enter}');
    expect(await screen.findByText(/a stolen password alone lets nobody in/)).toBeVisible();
  });

  it('make an API token with what was ticked', async () => {
    const { server, user } = open();
    server.routes['POST /me/tokens'] = ({ body }) => ({
      id: 't1',
      hint: 'wxyz',
      created_at: '2026-11-01T12:00:00Z',
      secret: 'mr_secret',
      ...(body as object),
    });
    await user.type(await screen.findByLabelText('Name of the new token'), 'script');
    await user.click(screen.getByLabelText('manage your channels'));
    expect(screen.queryByLabelText('administer the site')).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Make a token' }));
    expect(await screen.findByText('mr_secret')).toBeVisible();
    expect(server.asked.find(({ method }) => method === 'POST')?.body).toEqual({
      name: 'script',
      scopes: ['read', 'channels'],
    });
  });

  it('offer the data, and delete the account only with its password', async () => {
    const { server, user } = open();
    server.routes['DELETE /me'] = () => undefined;
    expect(await screen.findByRole('link', { name: 'Download it' })).toHaveAttribute('href', '/api/v1/me/export');
    await user.click(screen.getByRole('button', { name: 'Delete my account' }));
    await user.type(screen.getByLabelText('Password, to show that it is you'), 'correct horse{Enter}');
    expect(await screen.findByRole('link', { name: 'Sign in' })).toBeVisible();
    expect(server.asked.find(({ method }) => method === 'DELETE')?.body).toEqual({ password: 'correct horse' });
  });
});
