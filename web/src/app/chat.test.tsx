import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { ADA, FakeRoom, messageNamed, ROOM } from '@/features/chat/engine/fake-room';
import type { Poll } from '@/features/chat/engine/protocol';
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
  vi.restoreAllMocks();
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
    [`GET ${CHAT}/held`]: () => ({ items: [], next_cursor: null }),
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
    expect(await within(log()).findByText('Message removed')).toBeVisible();
    expect(within(log()).queryByText(/<img/)).not.toBeInTheDocument();
  });

  it('shows who raids, with the way to their channel', async () => {
    const raid = { kind: 'raid', channel: 'garage', display_name: 'Carol', viewers: 25 } as const;
    room.messages.push(
      messageNamed('1', { kind: 'system', author: null, text: 'Carol raids with 25 viewers.', news: raid }),
      messageNamed('2', { kind: 'system', author: null, text: 'Of tomorrow.', news: { kind: 'later' } as never }),
    );
    await join();
    expect(await within(log()).findByText(/Carol raids with 25 viewers/)).toBeVisible();
    expect(within(log()).getByRole('link', { name: '@garage' })).toHaveAttribute('href', '/@garage');
    expect(within(log()).getByText('Of tomorrow.')).toBeVisible();
  });

  it('takes viewers along with a raid that they saw coming, unless they stay', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const coming = (gone: boolean, id: string) => ({
      type: 'room',
      room: { ...ROOM, raid: { id, target: 'garage', at: new Date(Date.now() + 20_000).toISOString(), gone } },
    });
    const { user, server } = await join();
    server.routes['GET /channels/garage'] = () => channelNamed('garage', { title: 'In the garage' });
    tell(coming(true, 'r0'));
    tell({ type: 'messages', messages: [messageNamed('9')] });
    expect(await within(log()).findByText('text of 9')).toBeVisible();
    expect(screen.queryByTestId('raid')).not.toBeInTheDocument();
    tell(coming(false, 'r1'));
    expect(await screen.findByTestId('raid')).toHaveTextContent(/Everybody goes to @garage in \d+ s/);
    await user.click(screen.getByRole('button', { name: 'Stay here' }));
    expect(screen.getByTestId('raid')).toHaveTextContent('You stay.');
    tell(coming(true, 'r1'));
    await waitFor(() => expect(screen.queryByTestId('raid')).not.toBeInTheDocument());
    expect(screen.queryByRole('heading', { name: 'In the garage' })).not.toBeInTheDocument();
    tell(coming(false, 'r2'));
    expect(await screen.findByTestId('raid')).toBeVisible();
    tell({ type: 'room', room: { ...ROOM } });
    await waitFor(() => expect(screen.queryByTestId('raid')).not.toBeInTheDocument());
    tell(coming(false, 'r3'));
    expect(await screen.findByTestId('raid')).toBeVisible();
    tell(coming(true, 'r3'));
    expect(await screen.findByRole('heading', { name: 'In the garage' })).toBeVisible();
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

  it('says that a moderator looks first, and what came of it', async () => {
    const { user } = await join();
    await user.type(await field(), 'see example.org{Enter}');
    const said = room.socket.up.shift();
    const nonce = said?.type === 'send' ? said.nonce : '';
    tell({ type: 'held', nonce, id: '9', detail: 'A moderator looks at your message before others see it.' });
    expect(await screen.findByText(/^A moderator looks at your message/)).toBeVisible();
    tell({ type: 'refused', nonce, code: 'denied', detail: 'A moderator decided not to show your message.' });
    expect(await screen.findByRole('alert')).toHaveTextContent('Not sent. A moderator decided not to show your message.');
    expect(screen.queryByRole('button', { name: 'Try again' })).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Discard' }));
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
    expect(await screen.findByRole('button', { name: /^Send in 0:(30|[012]\d)$/ })).toBeDisabled();
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

  const EMOTES = {
    channel: [{ name: 'Boat', url: '/emotes/1', animated: false }],
    site: [{ name: 'oak', url: '/emotes/2', animated: true }],
  };

  it('shows the emotes of the room, and writes them for who types or picks', async () => {
    room.messages.push({ ...bobs, text: 'look :Boat: :boat:' });
    const { user } = await join({ [`GET ${CHAT}/emotes`]: () => EMOTES });
    expect(await within(log()).findByRole('img', { name: ':Boat:' })).toHaveAttribute('src', '/emotes/1');
    expect(within(log()).getByText(/:boat:/)).toBeVisible();
    await user.type(await field(), 'my :bo');
    expect(screen.getByRole('option', { name: ':Boat:', selected: true })).toBeVisible();
    await user.keyboard('{Enter}');
    expect(await field()).toHaveValue('my :Boat: ');
    await user.click(screen.getByRole('button', { name: 'Emotes' }));
    await user.click(await screen.findByRole('button', { name: ':oak:' }));
    await user.click(screen.getByRole('button', { name: 'Emotes' }));
    await user.type(await screen.findByRole('searchbox', { name: 'Search emotes' }), 'sailb');
    expect(screen.queryByRole('button', { name: ':oak:' })).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'sailboat' }));
    expect(await field()).toHaveValue('my :Boat: :oak: ⛵ ');
  });

  it('asks for emotes again when the room says that they are others', async () => {
    room.room = { ...ROOM, emotes: 1 };
    room.messages.push({ ...bobs, text: ':Elm:' });
    let emotes = EMOTES;
    await join({ [`GET ${CHAT}/emotes`]: () => emotes });
    expect(await within(log()).findByText(':Elm:')).toBeVisible();
    vi.spyOn(Math, 'random').mockReturnValue(0);
    emotes = { ...EMOTES, channel: [{ name: 'Elm', url: '/emotes/3', animated: false }] };
    tell({ type: 'room', room: { ...ROOM, emotes: 2 } });
    expect(await within(log()).findByRole('img', { name: ':Elm:' })).toHaveAttribute('src', '/emotes/3');
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

describe('a poll', () => {
  const soon = () => new Date(Date.now() + 60_000).toISOString();
  const poll = (more: Partial<Poll> = {}): Poll => ({
    id: 'p1',
    question: 'Which boat?',
    answers: ['The dinghy', 'The barge'],
    counts: [0, 0],
    closes_at: soon(),
    open: true,
    ...more,
  });
  const panel = () => screen.findByRole('region', { name: 'Poll' });

  it('is voted in by keyboard, moves as others vote, and says its result', async () => {
    const { server, user } = await join({ [`PUT ${CHAT}/polls/p1/vote`]: () => undefined });
    tell({ type: 'poll', poll: poll({ counts: [] }) });
    const box = within(await panel());
    expect(screen.getByText('Poll: Which boat?')).toHaveRole('status');
    const group = box.getByRole('group', { name: 'Which boat?' });
    expect(box.getByRole('button', { name: 'Vote' })).toBeDisabled();
    act(() => within(group).getByRole('radio', { name: /The dinghy/ }).focus());
    await user.keyboard(' ');
    await user.keyboard('{ArrowDown}');
    expect(within(group).getByRole('radio', { name: /The barge/ })).toBeChecked();
    await user.keyboard('{Enter}');
    expect(await box.findByRole('img', { name: 'Your vote' })).toBeVisible();
    expect(box.queryByRole('button', { name: 'Vote' })).not.toBeInTheDocument();
    expect(server.asked.at(-1)).toMatchObject({ path: `${CHAT}/polls/p1/vote`, body: { answer: 1 } });
    expect(server.asked.some(({ path }) => path === `${CHAT}/poll`)).toBe(false);
    tell({ type: 'poll', poll: poll({ counts: [1, 3] }) });
    expect(await box.findByText('4 votes')).toBeVisible();
    expect(box.getByText('75 %')).toBeVisible();
    tell({ type: 'poll', poll: poll({ counts: [1, 3], open: false }) });
    expect(await screen.findByText('The poll is closed. Which boat? The barge, 75 percent.')).toHaveRole('status');
    expect(box.queryByRole('radio')).not.toBeInTheDocument();
    await user.click(box.getByRole('button', { name: 'Hide the poll' }));
    expect(screen.queryByRole('region', { name: 'Poll' })).not.toBeInTheDocument();
  });

  it('knows how one voted before the page was there, and says when a vote does not count', async () => {
    room.poll = poll({ counts: [2, 1] });
    const { user } = await join({
      [`GET ${CHAT}/poll`]: () => ({ poll: room.poll, voted: 0 }),
      [`PUT ${CHAT}/polls/p1/vote`]: () => problem(409, 'poll-closed', 'This poll takes no more votes.'),
    });
    const box = within(await panel());
    expect(await box.findByRole('img', { name: 'Your vote' })).toBeVisible();
    await user.click(box.getByRole('radio', { name: /The barge/ }));
    await user.click(box.getByRole('button', { name: 'Change my vote' }));
    expect(await box.findByRole('alert')).toHaveTextContent('This poll takes no more votes.');
  });

  it('is only read by who is not signed in', async () => {
    [room.you, room.poll] = [null, poll({ counts: [2, 1] })];
    await join({ 'GET /me': () => problem(401, 'signed-out', 'Sign in first.') });
    const box = within(await panel());
    expect(box.getByText('3 votes · sign in to vote')).toBeVisible();
    expect(box.queryByRole('radio')).not.toBeInTheDocument();
  });

  it('is opened and ended by who moderates', async () => {
    room.you = MODERATOR;
    const { server, user } = await join({
      [`POST ${CHAT}/polls`]: () => ({ id: 'p1' }),
      [`POST ${CHAT}/polls/p1/close`]: () => ({ id: 'p1' }),
    });
    await user.click(await screen.findByRole('button', { name: 'Manage the chat' }));
    await user.click(await screen.findByRole('tab', { name: 'Poll' }));
    await user.type(await screen.findByLabelText('Question'), 'Which boat?');
    await user.type(screen.getByLabelText('Answer 1'), 'The dinghy');
    await user.type(screen.getByLabelText('Answer 2'), 'The barge');
    await user.click(screen.getByRole('button', { name: 'Another answer' }));
    await user.selectOptions(screen.getByLabelText('People can vote for'), '1 min');
    await user.click(screen.getByRole('button', { name: 'Ask' }));
    await waitFor(() => expect(screen.queryByRole('tab', { name: 'Poll' })).not.toBeInTheDocument());
    tell({ type: 'poll', poll: poll() });
    await user.click(within(await panel()).getByRole('button', { name: 'End now' }));
    await waitFor(() =>
      expect(server.asked.filter(({ method }) => method === 'POST').map(({ path, body }) => [path, body])).toEqual([
        [`${CHAT}/polls`, { question: 'Which boat?', answers: ['The dinghy', 'The barge'], seconds: 60 }],
        [`${CHAT}/polls/p1/close`, ''],
      ]),
    );
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

  it('lets messages through that wait, or does not', async () => {
    const held = (id: string, text: string) => ({ message: { ...bobs, id, text, mentions: [] }, why: 'link', until: '2026-11-21T20:30:00Z' });
    let items = [held('21', 'first')];
    let status = 204;
    const { server, user } = await moderate({
      [`GET ${CHAT}/held`]: () => ({ items, next_cursor: null }),
      [`PUT ${CHAT}/held/21`]: () => undefined,
      [`PUT ${CHAT}/held/22`]: () =>
        status === 204 ? undefined : problem(409, 'already-decided', 'This message does not wait any more: ben let it through.'),
    });
    const queue = await screen.findByRole('region', { name: 'Messages that wait for you' });
    expect(within(queue).getByText('1 message waits')).toBeVisible();
    expect(within(queue).getByText('Has a link')).toBeVisible();
    tell({ type: 'queue', waiting: [held('22', 'second'), held('23', 'third')] });
    expect(await within(queue).findByText('3 messages wait')).toBeVisible();
    await user.click(within(queue).getAllByRole('button', { name: 'Allow the message of Bob' })[0] as HTMLElement);
    await waitFor(() => expect(within(queue).queryByText('first')).not.toBeInTheDocument());
    // Another moderator was faster, twice.
    tell({ type: 'queue', reviewed: [{ id: '23', decision: 'denied' }] });
    await waitFor(() => expect(within(queue).queryByText('third')).not.toBeInTheDocument());
    [status, items] = [409, []];
    await user.click(within(queue).getByRole('button', { name: 'Deny the message of Bob' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('ben let it through.');
    await waitFor(() => expect(screen.queryByRole('region', { name: 'Messages that wait for you' })).not.toBeInTheDocument());
    expect(server.asked.filter(({ method }) => method === 'PUT').map(({ path, body }) => [path, body])).toEqual([
      [`${CHAT}/held/21`, { decision: 'allow' }],
      [`${CHAT}/held/22`, { decision: 'deny' }],
    ]);
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

  const manage = async (user: ReturnType<typeof userEvent.setup>, tab: string) => {
    await user.click(screen.getByRole('button', { name: 'Manage the chat' }));
    await user.click(await screen.findByRole('tab', { name: tab }));
  };
  const KEPT = { ...ROOM, system_messages: true, raid_messages: true, takes_raids: true, blocked_terms: ['spam*'], vips: [] };

  it('sets the room up', async () => {
    const { server, user } = await moderate({
      [`GET ${CHAT}`]: () => KEPT,
      [`PATCH ${CHAT}`]: () => ({ ...KEPT, slow_mode_s: 10 }),
    });
    await manage(user, 'Rules');
    await user.selectOptions(await screen.findByLabelText('Slow mode'), '10 s');
    await user.selectOptions(screen.getByLabelText('Who may write'), 'Followers of 10 min and longer');
    await user.selectOptions(screen.getByLabelText('Age of accounts'), '1 day and older');
    await user.selectOptions(screen.getByLabelText('Links'), 'From moderators and VIPs');
    await user.selectOptions(screen.getByLabelText('Before others see it, moderators look at'), 'Links and blocked words');
    await user.click(screen.getByLabelText('No message twice in a row'));
    await user.click(screen.getByLabelText('Nothing but emotes'));
    await user.type(screen.getByLabelText('Shown to who is banned'), 'Write to Ada.');
    await user.click(screen.getByLabelText('Say when a broadcast begins and ends'));
    await user.click(screen.getByLabelText('Say who follows the channel'));
    await user.click(screen.getByLabelText('Others may send their viewers here (raids)'));
    await user.click(screen.getByRole('button', { name: 'Save' }));
    await waitFor(() =>
      expect(server.asked.at(-1)?.body).toEqual({
        slow_mode_s: 10,
        followers_only_s: 600,
        account_age_s: 86_400,
        links: 'trusted',
        hold: 'links_and_terms',
        max_length: 500,
        subscribers_only: false,
        unique: true,
        emote_only: true,
        system_messages: false,
        follow_messages: true,
        raid_messages: true,
        takes_raids: false,
        rules: '',
        appeal: 'Write to Ada.',
      }),
    );
    await user.click(screen.getByRole('tab', { name: 'Blocked words' }));
    const words = await screen.findByLabelText('Nobody may say');
    expect(words).toHaveValue('spam*');
    await user.type(words, '{Enter}bad word');
    await user.click(screen.getByRole('button', { name: 'Save' }));
    await waitFor(() => expect(server.asked.at(-1)?.body).toEqual({ blocked_terms: ['spam*', 'bad word'] }));
  });

  it('honours people and lets them write again', async () => {
    const eve = { name: 'eve', display_name: 'Eve', bio: '' };
    let banned = [
      { ...eve, until: null, reason: 'spam', at: '2026-11-21T20:00:00Z' },
      { ...eve, name: 'long_ago', until: '2020-01-01T00:00:00Z', reason: '', at: '2020-01-01T00:00:00Z' },
    ];
    let vips: object[] = [];
    const { server, user } = await moderate({
      [`GET ${CHAT}`]: () => ({ ...KEPT, vips }),
      [`GET ${CHAT}/sanctions`]: () => ({ items: banned, next_cursor: null }),
      [`DELETE ${CHAT}/sanctions/eve`]: () => void (banned = []),
      [`PUT ${CHAT}/vips/eve`]: () => void (vips = [eve]),
      [`DELETE ${CHAT}/vips/eve`]: () => void (vips = []),
    });
    await manage(user, 'People');
    expect(await screen.findByText('banned · spam')).toBeVisible();
    expect(within(screen.getByTestId('chat-banned')).getAllByRole('listitem')).toHaveLength(1);
    await user.click(screen.getByRole('button', { name: 'Let Eve write again' }));
    expect(await screen.findByText('Nobody is banned or timed out.')).toBeVisible();
    await user.type(screen.getByLabelText('Name of the person'), '@Eve');
    await user.click(screen.getByRole('button', { name: 'Make VIP' }));
    await user.click(await screen.findByRole('button', { name: 'Remove Eve from the VIPs' }));
    expect(await screen.findByText('No VIPs yet.')).toBeVisible();
    expect(server.asked.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`)).toEqual([
      `DELETE ${CHAT}/sanctions/eve`,
      `PUT ${CHAT}/vips/eve`,
      `DELETE ${CHAT}/vips/eve`,
    ]);
  });

  it('says who subscribes and until when', async () => {
    let items: object[] = [];
    const { server, user } = await moderate({
      [`GET ${CHAT}`]: () => KEPT,
      [`GET ${CHAT}/sanctions`]: () => ({ items: [], next_cursor: null }),
      'GET /channels/boatyard/subscribers': () => ({ items, next_cursor: null }),
      'PUT /channels/boatyard/subscribers/eve': ({ body }) =>
        void (items = [{ name: 'eve', display_name: 'Eve', bio: '', since: '2026-11-21T20:00:00Z', ...(body as object) }]),
      'DELETE /channels/boatyard/subscribers/eve': () => void (items = []),
    });
    await manage(user, 'People');
    expect(await screen.findByText('Nobody subscribes yet.')).toBeVisible();
    await user.type(screen.getByLabelText('Name of the subscriber'), '@Eve');
    await user.type(screen.getByLabelText('Until'), '2036-01-31');
    await user.click(screen.getByRole('button', { name: 'Add subscriber' }));
    expect(await within(await screen.findByTestId('chat-subscribers')).findByText(/^until/)).toBeVisible();
    const until = new Date('2036-01-31T23:59:59').toISOString();
    expect(server.asked.find(({ method }) => method === 'PUT')?.body).toEqual({ until });
    await user.click(screen.getByRole('button', { name: 'Remove Eve from the subscribers' }));
    expect(await screen.findByText('Nobody subscribes yet.')).toBeVisible();
  });

  it('adds and removes emotes', async () => {
    let channel: object[] = [];
    const { server, user } = await moderate({
      [`GET ${CHAT}/emotes`]: () => ({ channel, site: [] }),
      [`PUT ${CHAT}/emotes/Boat`]: () => {
        channel = [{ name: 'Boat', url: '/emotes/1', animated: true }];
        return channel;
      },
      [`DELETE ${CHAT}/emotes/Boat`]: () => void (channel = []),
    });
    await manage(user, 'Emotes');
    expect(await screen.findByText(/^None yet/)).toBeVisible();
    await user.type(screen.getByLabelText('Name'), ':Boat:');
    await user.upload(screen.getByLabelText('Picture'), new File(['GIF89a'], 'boat.gif', { type: 'image/gif' }));
    await user.click(screen.getByRole('button', { name: 'Add' }));
    expect(await screen.findByText('moves')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Remove the emote Boat' }));
    await user.click(await screen.findByRole('button', { name: 'Remove' }));
    expect(await screen.findByText(/^None yet/)).toBeVisible();
    expect(server.asked.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`)).toEqual([
      `PUT ${CHAT}/emotes/Boat`,
      `DELETE ${CHAT}/emotes/Boat`,
    ]);
  });

  it('looks for what somebody said, page after page, and takes it away', async () => {
    const asked: string[] = [];
    let items: object[] = [messageNamed('7', { text: 'spoiler!' })];
    const { user } = await moderate({
      [`GET ${CHAT}/messages`]: ({ query }) => {
        asked.push(query.toString());
        return query.has('cursor') ? { items, next_cursor: null } : { items: [], next_cursor: '9.x' };
      },
      [`DELETE ${CHAT}/messages/7`]: () => {
        items = [{ ...messageNamed('7', { text: 'spoiler!' }), removed: true }];
        return undefined;
      },
    });
    await user.click(within(log()).getByRole('button', { name: 'Bob' }));
    await user.click(await screen.findByRole('button', { name: 'All their messages' }));
    expect(await screen.findByText('Nothing yet. Look further back.')).toBeVisible();
    expect(screen.getByLabelText('Said by')).toHaveValue('bob');
    await user.type(screen.getByLabelText('Words'), 'spoil');
    await user.click(screen.getByRole('button', { name: 'Search' }));
    await user.click(await screen.findByRole('button', { name: 'Search further back' }));
    expect(await within(screen.getByTestId('chat-found')).findByText('spoiler!')).toBeVisible();
    expect(asked.slice(-2)).toEqual(['limit=50&author=bob&q=spoil', 'limit=50&author=bob&q=spoil&cursor=9.x']);
    await user.click(screen.getByRole('button', { name: 'Delete the message' }));
    expect(await screen.findByText('(removed)')).toBeVisible();
  });

  it('is nobody else', async () => {
    room.messages.push(bobs);
    const { user } = await join();
    await user.hover(await within(log()).findByText('Bob'));
    expect(screen.getByRole('button', { name: 'Reply to Bob' })).toBeVisible();
    expect(screen.queryByRole('button', { name: 'Moderate Bob' })).not.toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Delete my message' })).not.toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Manage the chat' })).not.toBeInTheDocument();
  });

  it('is everybody for one’s own messages', async () => {
    room.messages.push(messageNamed('2', { text: 'oops', author: ADA }));
    const { server, user } = await join({ [`DELETE ${CHAT}/messages/2`]: () => undefined });
    await within(log()).findByText('oops');
    focusRow('Ada');
    await user.click(screen.getByRole('button', { name: 'Delete my message' }));
    expect(await screen.findByText('The message is removed.')).toBeVisible();
    expect(server.asked.at(-1)).toMatchObject({ method: 'DELETE', path: `${CHAT}/messages/2` });
  });
});
