import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { ADA, FakeRoom, messageNamed, ROOM } from '@/features/chat/engine/fake-room';
import { channelNamed, personNamed, problem, serve } from '@/testing/server';
import { Providers } from './App';
import { AppRoutes } from './routes';

let room: FakeRoom;

beforeEach(() => {
  room = new FakeRoom();
  const { connect } = room;
  vi.stubGlobal('WebSocket', function () {
    return connect();
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  sessionStorage.clear();
});

const CHAT = '/channels/boatyard/chat';
const MODERATOR = { ...ADA, moderates: true, badges: ['broadcaster'] };

/** Opens a page of the channel and lets its chat join. */
async function join(routes: Parameters<typeof serve>[1] = {}, path = '/@boatyard') {
  const server = serve([], {
    'GET /me': () => personNamed('ada'),
    'GET /channels/boatyard': () => channelNamed('boatyard'),
    [`GET ${CHAT}`]: () => ({ ...ROOM }),
    [`GET ${CHAT}/messages`]: () => ({ items: [], next_cursor: null }),
    ...routes,
  });
  render(
    <Providers>
      <MemoryRouter initialEntries={[path]}>
        <AppRoutes />
      </MemoryRouter>
    </Providers>,
  );
  await screen.findByTestId('chat');
  await waitFor(() => expect(room.sockets).toHaveLength(1));
  settle();
  await waitFor(() => expect(screen.getByTestId('chat')).toHaveAttribute('data-phase', 'open'));
  return { server, user: userEvent.setup() };
}

const settle = () => act(() => room.settle());
const tell = (frame: object) => act(() => room.socket.tell(frame));
const field = () => screen.findByRole('textbox', { name: 'Message' });
const log = () => screen.getByRole('log', { name: 'Messages' });
/** Goes to the row of somebody's message, as the tab key does. */
const focusRow = (name: string) => act(() => within(log()).getByText(name).closest('li')?.focus());
const bobs = messageNamed('1', {
  text: 'hi @ada <img src=x> https://example.org/boats.',
  mentions: ['ada'],
  author: { id: 'id-bob', name: 'bob', display_name: 'Bob', badges: ['vip'] },
});

describe('the chat of a channel', () => {
  it('is not there where the server has none', async () => {
    serve([], {
      'GET /channels/boatyard': () => channelNamed('boatyard', { title: 'Day 12' }),
      [`GET ${CHAT}`]: () => problem(501, 'not-implemented', 'No chat here.'),
    });
    render(
      <Providers>
        <MemoryRouter initialEntries={['/@boatyard']}>
          <AppRoutes />
        </MemoryRouter>
      </Providers>,
    );
    expect(await screen.findByRole('heading', { name: 'Day 12' })).toBeVisible();
    expect(screen.queryByTestId('chat')).not.toBeInTheDocument();
    expect(screen.queryByTestId('show-chat')).not.toBeInTheDocument();
    expect(room.sockets).toHaveLength(0);
  });

  it('shows what is said, as text, with people, mentions and safe links', async () => {
    room.messages.push(bobs, messageNamed('2', { kind: 'system', author: null, text: 'boatyard went live' }));
    await join();
    expect(await within(log()).findByText(/<img src=x>/)).toBeVisible();
    expect(within(log()).getByRole('img', { name: 'VIP' })).toBeVisible();
    expect(within(log()).getByText('@ada')).toHaveAttribute('data-you', 'true');
    const link = within(log()).getByRole('link', { name: 'https://example.org/boats' });
    expect(link).toHaveAttribute('rel', 'noopener nofollow ugc');
    expect(link).toHaveAttribute('target', '_blank');
    expect(within(log()).getByText('boatyard went live')).toBeVisible();
    tell({ type: 'removed', messages: ['1'] });
    expect(await within(log()).findByText('Message removed by a moderator')).toBeVisible();
    expect(within(log()).queryByText(/<img/)).not.toBeInTheDocument();
  });

  it('says hello where nobody has', async () => {
    await join();
    expect(await screen.findByText('Be the first to say hello')).toBeVisible();
  });

  it('sends what is written, and shows it as pending until it is there', async () => {
    const { user } = await join();
    await user.type(await field(), 'one{Shift>}{Enter}{/Shift}two{Enter}');
    expect(await screen.findByTestId('pending-waiting')).toHaveTextContent('Ada: one two');
    expect(await field()).toHaveValue('');
    settle();
    await waitFor(() => expect(screen.queryByTestId('pending-waiting')).not.toBeInTheDocument());
    expect(room.messages.map(({ text }) => text)).toEqual(['one\ntwo']);
    expect(within(log()).getAllByRole('listitem')).toHaveLength(1);
    await user.type(await field(), 'three{Enter}');
    expect(room.socket.up).toMatchObject([{ type: 'send', text: 'three' }]);
  });

  it('says why a message was refused, and tries again', async () => {
    const { user } = await join();
    await user.type(await field(), 'again{Enter}');
    const said = room.socket.up.shift();
    tell({ type: 'refused', nonce: said?.type === 'send' ? said.nonce : '', code: 'not_unique', detail: 'That was just said.' });
    expect(await screen.findByRole('alert')).toHaveTextContent('Not sent. That was just said.');
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(room.socket.up).toEqual([said]);
    settle();
    await waitFor(() => expect(screen.queryByRole('alert')).not.toBeInTheDocument());
  });

  it('keeps the log and the draft while it reconnects', async () => {
    room.messages.push(bobs);
    const { user } = await join();
    await user.type(await field(), 'half a sen');
    act(() => room.socket.cut());
    expect(await screen.findByText('Chat is reconnecting…')).toBeVisible();
    expect(within(log()).getByText('Bob')).toBeVisible();
    expect(await field()).toHaveValue('half a sen');
    room.speak(messageNamed('2', { text: 'meanwhile' }));
    await waitFor(() => expect(room.sockets).toHaveLength(2));
    settle();
    expect(await within(log()).findByText('meanwhile')).toBeVisible();
    expect(screen.queryByText('Chat is reconnecting…')).not.toBeInTheDocument();
  });

  it('says why it is closed, and comes back when asked to', async () => {
    const { user } = await join();
    act(() => room.socket.cut(4003, 'This chat is for followers.'));
    expect(await screen.findByText('This chat is for followers.')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(room.sockets).toHaveLength(2);
  });

  it('leads who is not signed in to the door and back', async () => {
    room.you = null;
    await join({ 'GET /me': () => problem(401, 'signed-out', 'Sign in first.') });
    expect(await screen.findByRole('link', { name: 'Sign in to chat' })).toHaveAttribute('href', '/login?next=/@boatyard');
    expect(screen.queryByRole('textbox', { name: 'Message' })).not.toBeInTheDocument();
  });

  it('says why one may not write, and for how long', async () => {
    await join();
    await field();
    const until = new Date(Date.now() + 90_500).toISOString();
    tell({ type: 'you', you: { ...ADA, may_send: false, why_not: { code: 'timed_out', detail: 'You are timed out.', until } } });
    expect(await screen.findByTestId('chat-silenced')).toHaveTextContent(/^You are timed out\. Again in 1:3\d\.$/);
    expect(screen.queryByRole('textbox', { name: 'Message' })).not.toBeInTheDocument();
    tell({ type: 'you', you: ADA });
    expect(await field()).toBeEnabled();
  });

  it('counts slow mode down, and characters near the end', async () => {
    room.room = { ...ROOM, slow_mode_s: 30, max_length: 20 };
    const { user } = await join();
    await user.type(await field(), 'hello{Enter}');
    settle();
    expect(await screen.findByRole('button', { name: /^Send in 0:(30|29)$/ })).toBeDisabled();
    expect(screen.getByText('Slow mode, 30 s')).toBeVisible();
    await user.type(await field(), 'x'.repeat(21));
    expect(screen.getByText('1 characters too long')).toBeVisible();
    await user.keyboard('{Enter}');
    expect(room.socket.up).toEqual([]);
  });

  it('completes names, and answers a message', async () => {
    room.messages.push(bobs);
    const { user } = await join();
    await user.type(await field(), 'hey @b');
    expect(screen.getByRole('option', { name: '@bob', selected: true })).toBeVisible();
    await user.keyboard('{Enter}');
    expect(await field()).toHaveValue('hey @bob ');
    focusRow('Bob');
    await user.click(screen.getByRole('button', { name: 'Reply to Bob' }));
    expect(screen.getByText('Replying to Bob')).toBeVisible();
    await user.type(await field(), 'yes{Enter}');
    expect(room.socket.up).toMatchObject([{ type: 'send', text: 'hey @bob yes', reply_to: '1' }]);
    expect(screen.queryByText('Replying to Bob')).not.toBeInTheDocument();
  });

  it('fetches what was said earlier', async () => {
    room.messages.push(messageNamed('5'));
    const pages: Readonly<Record<string, object>> = {
      'before=5': { items: [{ ...messageNamed('4'), removed: true }], next_cursor: 'c' },
      'cursor=c': { items: [messageNamed('3'), { ...messageNamed('2'), removed: true }, messageNamed('1')], next_cursor: null },
    };
    const { user } = await join({
      [`GET ${CHAT}/messages`]: ({ query }) => pages[query.toString().replace(/&?limit=50&?/, '')],
    });
    await user.click(await screen.findByRole('button', { name: 'Earlier messages' }));
    expect(await within(log()).findByText('text of 1')).toBeVisible();
    expect(within(log()).getAllByText(/^text of/).map((said) => said.textContent)).toEqual(['text of 1', 'text of 3', 'text of 5']);
    expect(screen.queryByRole('button', { name: 'Earlier messages' })).not.toBeInTheDocument();
  });

  it('is hidden, remembered so, and shown again', async () => {
    const { user } = await join();
    await user.click(screen.getByRole('button', { name: 'Hide chat' }));
    expect(screen.queryByTestId('chat')).not.toBeInTheDocument();
    expect(room.socket.open).toBe(false);
    expect(localStorage.getItem('millrace.settings')).toContain('"chat":false');
    await user.click(screen.getByRole('button', { name: 'Show chat' }));
    expect(await screen.findByTestId('chat')).toBeVisible();
  });

  it('takes the focus for writing with C', async () => {
    const { user } = await join();
    await field();
    await user.keyboard('c');
    expect(await field()).toHaveFocus();
    expect(await field()).toHaveValue('');
  });

  it('stands alone in a window of its own', async () => {
    room.messages.push(bobs);
    await join({}, '/@boatyard/chat');
    expect(await within(log()).findByText('Bob')).toBeVisible();
    expect(screen.queryByTestId('player')).not.toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Hide chat' })).not.toBeInTheDocument();
  });

  it('reads new messages to screen readers, and none of one’s own', async () => {
    const { user } = await join();
    expect(log()).toHaveAttribute('aria-live', 'off');
    room.speak(messageNamed('2', { text: 'psst' }));
    settle();
    await waitFor(() => expect(screen.getByTestId('chat-announcer')).toHaveTextContent('Bob: psst'));
    await user.click(screen.getByRole('button', { name: 'Chat settings' }));
    await user.click(await screen.findByRole('switch', { name: /Read new messages aloud/ }));
    expect(screen.queryByTestId('chat-announcer')).not.toBeInTheDocument();
  });
});

describe('who moderates', () => {
  async function moderate(routes: Parameters<typeof serve>[1] = {}) {
    room.you = MODERATOR;
    room.messages.push(bobs);
    const all = await join(routes);
    await within(log()).findByText('Bob');
    return all;
  }
  async function menu(user: ReturnType<typeof userEvent.setup>, item: string) {
    focusRow('Bob');
    await user.click(screen.getByRole('button', { name: 'Moderate Bob' }));
    await user.click(await screen.findByRole('menuitem', { name: item }));
  }

  it('deletes, pins and times out at the message', async () => {
    const { server, user } = await moderate({
      [`DELETE ${CHAT}/messages/1`]: () => undefined,
      [`PUT ${CHAT}/pinned`]: () => undefined,
      [`PUT ${CHAT}/sanctions/bob`]: () => undefined,
    });
    await menu(user, 'Time out for 10 minutes');
    expect(await screen.findByText('Bob is timed out for 10 min.')).toBeVisible();
    await menu(user, 'Pin the message');
    expect(await screen.findByText('The message is pinned.')).toBeVisible();
    await menu(user, 'Delete the message');
    expect(await screen.findByText('The message is removed.')).toBeVisible();
    expect(server.asked.filter(({ method }) => method !== 'GET').map(({ method, path, body }) => [method, path, body])).toEqual([
      ['PUT', `${CHAT}/sanctions/bob`, { seconds: 600 }],
      ['PUT', `${CHAT}/pinned`, { message: '1' }],
      ['DELETE', `${CHAT}/messages/1`, ''],
    ]);
  });

  it('says what the server does not allow', async () => {
    const { user } = await moderate({
      [`DELETE ${CHAT}/messages/1`]: () => problem(403, 'forbidden', 'Only the owner may do that.'),
    });
    await menu(user, 'Delete the message');
    expect(await screen.findByRole('alert')).toHaveTextContent('Only the owner may do that.');
  });

  it('bans with a reason, and lifts it from the card', async () => {
    const { server, user } = await moderate({ [`PUT ${CHAT}/sanctions/bob`]: () => undefined });
    await menu(user, 'Ban…');
    await user.type(await screen.findByLabelText('Reason'), 'spam');
    await user.click(screen.getByRole('button', { name: 'Ban' }));
    expect(await screen.findByText('Bob is banned.')).toBeVisible();
    expect(server.asked.at(-1)).toMatchObject({ body: { reason: 'spam' } });
    await user.click(within(log()).getByRole('button', { name: 'Bob' }));
    const card = await screen.findByTestId('person-card');
    expect(within(card).getByText(/^First seen here/)).toBeVisible();
    await user.click(within(card).getByRole('button', { name: 'Lift timeout or ban' }));
    expect(await screen.findByText('Bob was neither timed out nor banned.')).toBeVisible();
  });

  it('sets the room up', async () => {
    const { server, user } = await moderate({ [`PATCH ${CHAT}`]: () => ({ ...ROOM }) });
    await user.click(screen.getByRole('button', { name: 'Chat settings' }));
    await user.selectOptions(await screen.findByLabelText('Slow mode'), '10 s');
    await user.selectOptions(screen.getByLabelText('Who may write'), 'Followers of 10 min and longer');
    await user.selectOptions(screen.getByLabelText('Links'), 'From moderators and VIPs');
    await user.click(screen.getByLabelText('No message twice in a row'));
    await user.click(screen.getByRole('button', { name: 'Save' }));
    await waitFor(() =>
      expect(server.asked.at(-1)?.body).toEqual({
        slow_mode_s: 10,
        followers_only_s: 600,
        links: 'trusted',
        unique: true,
        rules: '',
      }),
    );
  });

  it('is nobody else', async () => {
    room.messages.push(bobs);
    const { user } = await join();
    await user.hover(await within(log()).findByText('Bob'));
    expect(screen.getByRole('button', { name: 'Reply to Bob' })).toBeVisible();
    expect(screen.queryByRole('button', { name: 'Moderate Bob' })).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Chat settings' }));
    await screen.findByRole('switch', { name: /Read new messages aloud/ });
    expect(screen.queryByLabelText('Slow mode')).not.toBeInTheDocument();
  });
});
