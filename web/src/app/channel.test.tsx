import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { channelNamed, personNamed, problem, serve, streamNamed } from '@/testing/server';
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

const boat = channelNamed('boatyard', {
  title: 'Day 12',
  category: 'Crafts',
  tags: ['wood'],
  language: 'pt-BR',
  description: 'A boat, from trees.',
  followers: 1,
  owner: { name: 'ada', display_name: 'Ada L.', bio: 'Builds things.' },
});

describe('the frame of a channel in another page', () => {
  it('leads to the page of the channel where only followers may watch', async () => {
    serve([], { 'GET /channels/boatyard': () => ({ ...boat, playback: 'followers' }) });
    open('/embed/boatyard');
    expect(await screen.findByText('boatyard is for its followers')).toBeVisible();
    expect(screen.getByRole('link', { name: 'Watch boatyard on Millrace' })).toHaveAttribute('href', '/@boatyard');
    expect(screen.queryByTestId('player')).not.toBeInTheDocument();
  });
});

describe('the page of a channel', () => {
  it('says what it is about, live or not', async () => {
    serve([], { 'GET /channels/boatyard': () => boat });
    open('/@boatyard');
    expect(await screen.findByRole('heading', { name: 'Day 12' })).toBeVisible();
    expect(screen.getByTestId('channel-facts')).toHaveTextContent('boatyard · Crafts · Português (Brasil) · 1 follower');
    expect(screen.getByRole('heading', { name: 'About Ada L.' })).toBeVisible();
    expect(screen.getByText('A boat, from trees.')).toBeVisible();
    expect(screen.getByText('Builds things.')).toBeVisible();
    expect(screen.getByRole('link', { name: '#wood' })).toHaveAttribute('href', '/?tag=wood');
    expect(screen.getByText('Offline')).toBeVisible();
  });

  it('leads who wants to follow to the door and back', async () => {
    serve([], { 'GET /channels/boatyard': () => boat });
    open('/@boatyard');
    expect(await screen.findByRole('link', { name: 'Follow boatyard' })).toHaveAttribute(
      'href',
      '/login?next=/@boatyard',
    );
  });

  it('is followed and left, and counts it', async () => {
    let followed = false;
    serve([], {
      'GET /me': () => personNamed('bob'),
      'GET /channels/boatyard': () => ({ ...boat, following: followed, followers: followed ? 2 : 1 }),
      'PUT /channels/boatyard/follow': () => {
        followed = true;
        return undefined;
      },
      'DELETE /channels/boatyard/follow': () => {
        followed = false;
        return undefined;
      },
    });
    const user = open('/@boatyard');
    const button = await screen.findByRole('button', { name: 'Follow boatyard', pressed: false });
    await user.click(button);
    expect(await screen.findByRole('button', { name: 'Follow boatyard', pressed: true })).toHaveTextContent('Following');
    expect(screen.getByTestId('channel-facts')).toHaveTextContent('2 followers');
    await user.click(button);
    await waitFor(() => expect(screen.getByTestId('channel-facts')).toHaveTextContent('1 follower'));
    expect(followed).toBe(false);
  });

  it('says why it cannot be followed', async () => {
    serve([], {
      'GET /me': () => personNamed('bob'),
      'GET /channels/boatyard': () => boat,
      'PUT /channels/boatyard/follow': () => problem(403, 'blocked', 'This channel does not want you to follow it.'),
    });
    const user = open('/@boatyard');
    await user.click(await screen.findByRole('button', { name: 'Follow boatyard' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('does not want you');
  });

  it('leads its owner to the dashboard', async () => {
    serve([], { 'GET /me': () => personNamed('ada'), 'GET /channels/boatyard': () => boat });
    open('/@boatyard');
    expect(await screen.findByRole('link', { name: 'Manage the channel' })).toHaveAttribute(
      'href',
      '/dashboard?channel=boatyard',
    );
    expect(screen.queryByTestId('follow')).not.toBeInTheDocument();
  });

  it('is that of a person where there is no channel of the name', async () => {
    serve([], { 'GET /users/ada': () => ({ name: 'ada', display_name: 'Ada L.', bio: 'Builds things.' }) });
    open('/@ada');
    expect(await screen.findByRole('heading', { name: 'Ada L.' })).toBeVisible();
    expect(screen.getByText('Builds things.')).toBeVisible();
  });
});

describe('the list of live channels', () => {
  it('is narrowed and sorted, and the choice stands in its address', async () => {
    serve([
      streamNamed('boatyard', { viewers: 3, category: 'Crafts', language: 'en', tags: ['wood'], title: 'Day 12' }),
      streamNamed('chess', { viewers: 9, category: 'Games', language: 'ru', tags: [] }),
    ]);
    const user = open('/?tag=wood');
    expect(await screen.findByTestId('stream-boatyard')).toHaveTextContent('Day 12');
    expect(screen.queryByTestId('stream-chess')).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: /^Tag: wood/ }));
    expect(screen.getByTestId('stream-chess')).toBeVisible();
    await user.selectOptions(screen.getByLabelText('Language'), 'Русский');
    expect(screen.queryByTestId('stream-boatyard')).not.toBeInTheDocument();
    await user.selectOptions(screen.getByLabelText('Category'), 'Crafts');
    expect(screen.getByRole('heading', { name: 'Nothing like that is live' })).toBeVisible();
    await user.click(screen.getByRole('link', { name: 'Show everything' }));
    expect(screen.getByTestId('count')).toHaveTextContent('2 channels');
  });
});
