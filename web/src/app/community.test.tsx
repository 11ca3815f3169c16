import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { channelNamed, personNamed, problem, serve } from '@/testing/server';
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

/** Something that is planned for a Saturday evening. */
const planned = (more: object = {}) => ({
  plan: 'p1',
  day: '2026-11-28',
  channel: 'studio',
  title: 'Building a boat',
  category: 'Crafts',
  note: 'With guests.',
  starts_at: '2026-11-28T18:30:00Z',
  ends_at: '2026-11-28T20:00:00Z',
  time_zone: 'Europe/Berlin',
  weekly: true,
  cancelled: false,
  ...more,
});

describe('the schedule', () => {
  it('stands on the page of the channel, with what is cancelled and a calendar', async () => {
    serve([], {
      'GET /channels/studio': () => channelNamed('studio'),
      'GET /channels/studio/schedule': () => page(planned(), planned({ day: '2026-12-05', cancelled: true })),
    });
    open('/@studio');
    const list = await screen.findByTestId('planned');
    expect(within(list).getAllByText('Building a boat')).toHaveLength(2);
    expect(list).toHaveTextContent('Crafts · With guests.');
    expect(within(list).getByText('Cancelled')).toBeVisible();
    expect(screen.getByRole('link', { name: 'Add to your calendar' })).toHaveAttribute(
      'href',
      '/api/v1/channels/studio/schedule.ics',
    );
  });

  it('of what one follows stands below what is live', async () => {
    serve([], { 'GET /me': () => personNamed('eve'), 'GET /me/upcoming': () => page(planned()) });
    open('/');
    expect(await screen.findByRole('heading', { name: 'Coming up on channels you follow' })).toBeVisible();
    expect(screen.getByRole('link', { name: 'Building a boat' })).toHaveAttribute('href', '/@studio');
  });

  it('is made on the dashboard, in the time zone of who makes it, and single days are cancelled', async () => {
    const plans: object[] = [];
    const server = serve([], {
      'GET /me': () => personNamed('ada', { role: 'streamer' }),
      'GET /me/channels': () => page(channelNamed('studio')),
      'GET /me/chat/bans': () => page(),
      'GET /channels/studio/plans': () => page(...plans),
      'GET /channels/studio/schedule': () => page(...(plans.length > 0 ? [planned()] : [])),
      'PUT /channels/studio/plans/p1/cancelled/2026-11-28': () => plans[0],
    });
    for (const list of ['keys', 'broadcasts', 'followers', 'moderators', 'blocks']) {
      server.routes[`GET /channels/studio/${list}`] = () => page();
    }
    server.routes['POST /channels/studio/plans'] = ({ body }) => {
      const plan = { category: '', note: '', cancelled: [], ...(body as object), id: 'p1', starts: '2026-11-28T19:30:00' };
      plans.push(plan);
      return plan;
    };
    const user = open('/dashboard');
    await user.click(await screen.findByText('Plan a broadcast'));
    const panel = screen.getByRole('region', { name: 'Schedule' });
    await user.type(within(panel).getByLabelText('Title'), 'Building a boat');
    await user.type(within(panel).getByLabelText('Day and time'), '2026-11-28T19:30');
    await user.click(within(panel).getByLabelText('Every week'));
    await user.click(within(panel).getByRole('button', { name: 'Plan it' }));
    expect(await within(panel).findByText(/every week from 2026-11-28 19:30/)).toBeVisible();
    expect(server.asked.find(({ method }) => method === 'POST')?.body).toEqual({
      title: 'Building a boat',
      category: '',
      note: '',
      starts: '2026-11-28T19:30',
      time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      minutes: 120,
      weekly: true,
    });
    await user.click(await within(panel).findByRole('button', { name: /^Cancel Sat/ }));
    await waitFor(() => expect(server.asked.some(({ path }) => path.endsWith('/cancelled/2026-11-28'))).toBe(true));
  });
});

describe('reports', () => {
  it('are sent from the page of a channel, and thanked for', async () => {
    const server = serve([], {
      'GET /me': () => personNamed('eve'),
      'GET /channels/studio': () => channelNamed('studio'),
      'GET /channels/studio/schedule': () => page(),
      'POST /channels/studio/reports': () => problem(422, 'invalid-fields', 'See errors.', { '/text': 'is empty' }),
    });
    const user = open('/@studio');
    await user.click(await screen.findByRole('button', { name: 'Report' }));
    const dialog = await screen.findByRole('dialog');
    await user.selectOptions(within(dialog).getByLabelText('Why?'), 'other');
    await user.click(within(dialog).getByRole('button', { name: 'Send the report' }));
    expect(await within(dialog).findByText('is empty')).toBeVisible();
    server.routes['POST /channels/studio/reports'] = () => undefined;
    await user.type(within(dialog).getByLabelText('What happened?'), 'This.');
    await user.click(within(dialog).getByRole('button', { name: 'Send the report' }));
    expect(await within(dialog).findByText('Thank you. The admins will look at it.')).toBeVisible();
    expect(server.asked.filter(({ method }) => method === 'POST').at(-1)?.body).toEqual({ reason: 'other', text: 'This.' });
  });

  it('lead who is not signed in to the door, and owners report nothing of theirs', async () => {
    const server = serve([], { 'GET /channels/studio': () => channelNamed('studio') });
    server.routes['GET /channels/studio/schedule'] = () => page();
    open('/@studio');
    expect(await screen.findByRole('link', { name: 'Report' })).toHaveAttribute('href', '/login?next=/@studio');
  });

  it('wait in a queue until an admin says what came of them', async () => {
    let open_ = [
      {
        id: 'r1',
        about: 'channel',
        target: 'studio',
        reporter: { name: 'eve', display_name: 'Eve', bio: '' },
        reason: 'spam',
        text: 'Always the same.',
        at: '2026-11-21T08:00:00Z',
        state: 'open',
        note: '',
      },
    ];
    const server = serve([], {
      'GET /me': () => personNamed('ada', { role: 'admin' }),
      'GET /admin/reports': () => page(...open_),
      'POST /admin/reports/r1/resolve': () => {
        const [report] = open_;
        open_ = [];
        return report;
      },
    });
    const user = open('/admin');
    const queue = await screen.findByTestId('reports');
    expect(queue).toHaveTextContent('studio · Spam or fraud');
    expect(queue).toHaveTextContent('by eve');
    const form = within(queue).getByRole('form', { name: 'Resolve the report of studio', hidden: true });
    await user.selectOptions(within(form).getByLabelText('What came of it'), 'warned');
    await user.type(within(form).getByLabelText('Note for the other admins'), 'Told them.');
    await user.click(within(form).getByRole('button', { name: 'Resolve', hidden: true }));
    expect(await screen.findByText('Nothing is waiting.')).toBeVisible();
    expect(server.asked.find(({ method }) => method === 'POST')?.body).toEqual({ outcome: 'warned', note: 'Told them.' });
  });
});

describe('what one follows', () => {
  it('has live channels first, and is left after a question', async () => {
    let follows = [
      { channel: 'calm', title: '', live: false, followed_at: '2026-11-20T08:00:00Z' },
      { channel: 'busy', title: 'On air', live: true, followed_at: '2026-11-01T08:00:00Z' },
    ];
    serve([], {
      'GET /me': () => personNamed('eve'),
      'GET /me/follows': () => page(...follows),
      'GET /me/upcoming': () => page(),
      'DELETE /channels/calm/follow': () => {
        follows = follows.filter(({ channel }) => channel !== 'calm');
        return undefined;
      },
    });
    const user = open('/following');
    const list = await screen.findByTestId('following');
    expect(within(list).getAllByRole('link').map((link) => link.getAttribute('href'))).toEqual(['/@busy', '/@calm']);
    await user.click(within(list).getByRole('button', { name: 'Unfollow calm' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Unfollow' }));
    await waitFor(() => expect(screen.queryByRole('link', { name: 'calm' })).toBeNull());
  });
});

describe('the blocklist', () => {
  it('names who is blocked, blocks and unblocks', async () => {
    let blocked: object[] = [];
    const server = serve([], {
      'GET /me': () => personNamed('ada', { role: 'streamer' }),
      'GET /me/channels': () => page(channelNamed('studio')),
      'GET /me/chat/bans': () => page(),
      'GET /channels/studio/blocks': () => page(...blocked),
      'PUT /channels/studio/blocks/eve': () => {
        blocked = [{ name: 'eve', display_name: 'Eve', bio: '', blocked_at: '2026-11-21T08:00:00Z' }];
        return undefined;
      },
      'DELETE /channels/studio/blocks/eve': () => {
        blocked = [];
        return undefined;
      },
    });
    for (const list of ['keys', 'broadcasts', 'followers', 'moderators', 'plans', 'schedule', 'webhooks']) {
      server.routes[`GET /channels/studio/${list}`] = () => page();
    }
    const user = open('/dashboard');
    const panel = await screen.findByRole('region', { name: 'Blocked people' });
    await user.type(within(panel).getByLabelText('Name of who is to be blocked'), ' Eve ');
    await user.click(within(panel).getByRole('button', { name: 'Block' }));
    expect(await within(panel).findByText('Eve')).toBeVisible();
    await user.click(within(panel).getByRole('button', { name: 'Unblock eve' }));
    await user.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Unblock' }));
    expect(await within(panel).findByText('Nobody.')).toBeVisible();
  });
});
