import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryRouter } from 'react-router';
import { serve, streamNamed } from '@/testing/server';
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
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the list of live channels', () => {
  it('shows who is live, most watched first', async () => {
    serve([streamNamed('quiet', { viewers: 1 }), streamNamed('busy', { viewers: 1_234 })]);
    open('/');
    expect(screen.getByTestId('loading')).toBeVisible();
    const links = await screen.findAllByRole('link', { name: /^Watch / });
    expect(links.map((link) => link.getAttribute('href'))).toEqual(['/@busy', '/@quiet']);
    expect(links[0]).toHaveTextContent('1.2K watching · 1080p60 · H.264');
    expect(screen.getByTestId('count')).toHaveTextContent('2 channels');
  });

  it('shows what a channel shows, and the picture before until the next one is here', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const server = serve([streamNamed('studio', { thumbnail_url: '/t/one/live/studio/thumb.jpg?v=1' })]);
    open('/');
    const card = within(await screen.findByTestId('stream-studio'));
    const named = () => card.queryByAltText('What studio shows right now');
    const coming = () => card.getByRole('presentation');
    expect(named()).toBeNull();
    fireEvent.load(coming());
    expect(named()).toHaveAttribute('src', '/t/one/live/studio/thumb.jpg?v=1');
    expect(named()?.getAttribute('srcset')).toContain('/t/one/live/studio/thumb-1280.webp?v=1 1280w');
    // The same picture by another token is not fetched again.
    server.live = [streamNamed('studio', { thumbnail_url: '/t/two/live/studio/thumb.jpg?v=1' })];
    await act(() => vi.advanceTimersByTimeAsync(6_000));
    expect(named()).toHaveAttribute('src', '/t/one/live/studio/thumb.jpg?v=1');
    expect(card.queryByRole('presentation')).toBeNull();
    server.live = [streamNamed('studio', { thumbnail_url: '/t/three/live/studio/thumb.jpg?v=2' })];
    await act(() => vi.advanceTimersByTimeAsync(6_000));
    expect(named()).toHaveAttribute('src', '/t/one/live/studio/thumb.jpg?v=1');
    fireEvent.load(coming());
    expect(named()).toHaveAttribute('src', '/t/three/live/studio/thumb.jpg?v=2');
    expect(card.queryByRole('presentation')).toBeNull();
  });

  it('explains how to go live when nobody is', async () => {
    serve([]);
    open('/');
    const empty = await screen.findByTestId('empty');
    expect(within(empty).getByText('rtmp://localhost:1935/live')).toBeVisible();
    expect(within(empty).getByText(/keyframe interval to 2 s/)).toBeVisible();
  });

  it('says that the server does not answer, and recovers by itself', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const server = serve([streamNamed('studio')]);
    server.down = true;
    open('/');
    expect(await screen.findByText('The server does not answer', undefined, { timeout: 3_000 })).toBeVisible();
    server.down = false;
    await act(() => vi.advanceTimersByTimeAsync(6_000));
    expect(await screen.findByTestId('stream-studio')).toBeVisible();
  });

  it('keeps the list it has when the server goes away, and says how old it may be', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const server = serve([streamNamed('studio')]);
    open('/');
    await screen.findByTestId('stream-studio');
    server.down = true;
    await act(() => vi.advanceTimersByTimeAsync(8_000));
    expect(await screen.findByText(/may be out of date/)).toBeVisible();
    expect(screen.getByTestId('stream-studio')).toBeVisible();
  });

  it('says when this device has no network', async () => {
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
    serve([]).down = true;
    open('/');
    expect(await screen.findByText('You are offline')).toBeVisible();
  });
});

describe('a channel', () => {
  it('shows its broadcast and how to share it', async () => {
    serve([streamNamed('studio')]);
    open('/@Studio');
    expect(await screen.findByRole('heading', { name: 'studio' })).toBeVisible();
    await waitFor(() => expect(screen.getByText(/1080p60 · H\.264 · AAC · 6\.2 Mbit\/s · OBS 29\.0\.2/)).toBeVisible());
    expect(screen.getByTestId('viewers')).toHaveTextContent('7');
    expect(screen.getByText(`${window.location.origin}/@studio`)).toBeVisible();
    expect(document.title).toBe('studio · Millrace');
  });

  it('is offline when the server says so', async () => {
    serve([]);
    open('/@studio');
    expect(await screen.findByText('Offline')).toBeVisible();
  });

  it('can be embedded without the rest of the page', async () => {
    serve([streamNamed('studio')]);
    open('/embed/studio');
    expect(await screen.findByTestId('player')).toBeVisible();
    expect(screen.queryByRole('link', { name: 'Millrace, live channels' })).not.toBeInTheDocument();
  });
});

describe('an address that means nothing', () => {
  it.each(['/nothing', '/a/b/c', '/@x', '/@no-such!', '/embed/..'])('%s is answered kindly', async (path) => {
    serve([]);
    open(path);
    expect(await screen.findByRole('heading', { name: 'This water goes nowhere' })).toBeVisible();
    expect(screen.getByRole('link', { name: 'See who is live' })).toHaveAttribute('href', '/');
  });
});
