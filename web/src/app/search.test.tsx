import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { channelNamed, problem, serve, streamNamed } from '@/testing/server';
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

describe('the search', () => {
  it('is reached by a key, and shows what the server found in its order', async () => {
    const found = [
      channelNamed('boats', { title: 'Building a boat', stream: streamNamed('boats') }),
      channelNamed('boatyard', { followers: 3, category: 'Crafts' }),
    ];
    const server = serve([], { 'GET /channels': () => ({ items: found, next_cursor: null }) });
    const user = open('/');
    const box = await screen.findByRole('searchbox', { name: 'Search channels' });
    await user.keyboard('/');
    expect(box).toHaveFocus();
    await user.keyboard(' boat {Enter}');
    expect(await screen.findByRole('heading', { name: 'Found for “boat”' })).toBeVisible();
    const list = screen.getByTestId('found');
    expect(within(list).getAllByRole('link').map((link) => link.getAttribute('href'))).toEqual(['/@boats', '/@boatyard']);
    expect(list).toHaveTextContent('boats · 7 watching');
    expect(list).toHaveTextContent('Crafts · 3 followers');
    expect(server.asked.filter(({ path }) => path === '/channels')).toHaveLength(1);
    expect(screen.getByRole('searchbox', { name: 'Search channels' })).toHaveValue('boat');
  });

  it('leads on to the next page, and says when there is nothing or no answer', async () => {
    const server = serve([]);
    server.routes['GET /channels'] = () => problem(503, 'store-unavailable', 'Try again.');
    const user = open('/search?q=boat');
    expect(await screen.findByRole('heading', { name: 'The search did not work' }, { timeout: 4_000 })).toBeVisible();
    server.routes['GET /channels'] = () => ({ items: [channelNamed('boats')], next_cursor: '0.x' });
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    await screen.findByTestId('found');
    server.routes['GET /channels'] = () => ({ items: [channelNamed('boatyard')], next_cursor: null });
    await user.click(screen.getByRole('button', { name: 'Show more' }));
    expect(await screen.findByRole('link', { name: 'boatyard' })).toBeVisible();
    server.routes['GET /channels'] = () => ({ items: [], next_cursor: null });
    await user.clear(screen.getByRole('searchbox', { name: 'Search channels' }));
    await user.type(screen.getByRole('searchbox', { name: 'Search channels' }), 'ship{Enter}');
    expect(await screen.findByRole('heading', { name: 'Nothing for “ship”' })).toBeVisible();
  });
});
