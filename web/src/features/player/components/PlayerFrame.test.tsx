import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Stream } from '@/api/streams';
import { readSettings } from '@/lib/settings';
import { fakeVideo } from '@/testing/fake-video';
import { streamNamed } from '@/testing/server';
import { FakeSource } from '../engine/fake-source';
import type { PlayerDeps } from '../engine/player';
import type { Quality } from '../engine/source';
import { PlayerFrame } from './PlayerFrame';

const sources: FakeSource[] = [];
let media: ReturnType<typeof fakeVideo>;
let allowed: Parameters<typeof media.allow>[0];

vi.mock('../engine/browser', () => ({
  browserDeps: (): PlayerDeps => ({
    createSource: (video, options) => {
      media = fakeVideo(video);
      media.allow(allowed);
      const source = new FakeSource(options);
      sources.push(source);
      return source;
    },
    probe: () => Promise.resolve('offline'),
    now: () => performance.now(),
    random: () => 0.5,
    canChangeRate: true,
  }),
}));

const QUALITIES: readonly Quality[] = [
  { id: 'auto', height: null, frameRate: null, source: false },
  { id: 0, height: 1080, frameRate: 60, source: true },
  { id: 'audio', height: null, frameRate: null, source: false },
];

function source(): FakeSource {
  const last = sources.at(-1);
  if (last === undefined) throw new Error('no source was made');
  return last;
}

function watch(stream: Stream | null = streamNamed('studio')) {
  const toggle = vi.fn();
  render(
    <PlayerFrame channel="studio" stream={stream} onTurned={() => undefined} theatre={{ active: false, toggle }} />,
  );
  return { user: userEvent.setup(), player: screen.getByTestId('player'), toggle };
}

/** Lets media arrive with the playhead `latency` behind the edge. */
async function goOn(latency = 1) {
  await act(async () => {
    media.video.currentTime = 20 - latency;
    media.buffer([0, 19.9]);
    source().now = { edge: 20, holdBack: 1, pictureTime: null, live: true, gap: false, resumeAt: null };
    source().events.emit('qualities', QUALITIES);
    await Promise.resolve();
  });
  await waitFor(() => expect(screen.getByTestId('player')).toHaveAttribute('data-state', 'playing'));
}

beforeEach(() => {
  sources.length = 0;
  allowed = 'sound';
});

describe('PlayerFrame', () => {
  it('tells its state, latency and muting to tests and styles', async () => {
    const { player } = watch();
    expect(player).toHaveAttribute('data-state', 'loading');
    await goOn(1.25);
    await waitFor(() => expect(player).toHaveAttribute('data-latency', '1.25'));
    expect(player).toHaveAttribute('data-muted', 'false');
    expect(screen.getByTestId('latency')).toHaveTextContent('1.3 s');
  });

  it('offers a visible unmute where the browser starts it without sound, and remembers no wish for silence', async () => {
    allowed = 'muted';
    const { user, player } = watch();
    // The fake takes its orders when the source is made; the player then tries again, muted.
    await goOn();
    await user.click(await screen.findByTestId('unmute'));
    expect(player).toHaveAttribute('data-muted', 'false');
    expect(screen.queryByTestId('unmute')).not.toBeInTheDocument();
    expect(readSettings().muted).toBe(false);
  });

  it('says that the channel is offline and that waiting is enough', async () => {
    watch(null);
    act(() => source().events.emit('failed', { kind: 'offline' }));
    expect(await screen.findByText('studio is offline')).toBeVisible();
    expect(screen.getByText(/starts here by itself/)).toBeVisible();
    expect(screen.queryByTestId('live-badge')).not.toBeInTheDocument();
  });

  it("says that the broadcaster's connection dropped, and for how long it is held open", async () => {
    const until = new Date(Date.now() + 20_000).toISOString();
    watch(streamNamed('studio', { state: 'interrupted', interrupted_until: until }));
    await goOn();
    act(() => {
      media.buffer();
      source().now = { edge: 20, holdBack: 1, pictureTime: null, live: true, gap: true, resumeAt: null };
    });
    expect(await screen.findByText(/connection dropped/)).toBeVisible();
    expect(screen.getByText(/another (19|20) s/)).toBeVisible();
  });

  it('offers to try again when it has given up', async () => {
    const { user } = watch();
    act(() => {
      for (let failures = 0; failures < 5; failures += 1) {
        source().events.emit('failed', { kind: 'media', detail: 'decode' });
        source().recoveries = 0;
      }
    });
    await user.click(await screen.findByTestId('retry'));
    expect(sources).toHaveLength(2);
  });

  it('plays, mutes and shows stats by keys, until they are turned off', async () => {
    const { user, player, toggle } = watch();
    await goOn();
    await user.keyboard('k');
    expect(player).toHaveAttribute('data-state', 'paused');
    await user.keyboard('k');
    await user.keyboard('m');
    expect(player).toHaveAttribute('data-muted', 'true');
    expect(readSettings().muted).toBe(true);
    await user.keyboard('i');
    expect(screen.getByTestId('stats-panel')).toHaveTextContent('H.264 · 6.0 Mbit/s');
    await user.keyboard('t');
    expect(toggle).toHaveBeenCalledOnce();

    await user.keyboard('?');
    const dialog = await screen.findByRole('dialog');
    await user.click(within(dialog).getByRole('switch'));
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
    await user.keyboard('m');
    expect(player).toHaveAttribute('data-muted', 'true');
    expect(readSettings().shortcuts).toBe(false);
  });

  it('remembers the volume', async () => {
    const { user } = watch();
    await goOn();
    await user.keyboard('{ArrowUp}{ArrowUp}');
    expect(readSettings().volume).toBeCloseTo(0.9);
    expect(media.video.volume).toBeCloseTo(0.9);
  });

  it('leads back to the live edge', async () => {
    const { user } = watch();
    await goOn();
    await user.keyboard('{ArrowLeft}');
    expect(media.video.currentTime).toBeCloseTo(14, 0);
    const badge = screen.getByTestId('live-badge');
    await waitFor(() => expect(badge).toHaveAttribute('data-edge', 'false'), { timeout: 3_000 });
    expect(badge).toHaveTextContent('Jump to live');
    await user.click(badge);
    expect(media.video.currentTime).toBeCloseTo(19, 0);
    await waitFor(() => expect(badge).toHaveAttribute('data-edge', 'true'));
  });

  it('offers the qualities of the stream', async () => {
    const { user } = watch();
    await goOn();
    await user.click(screen.getByTestId('quality'));
    const names = (await screen.findAllByRole('menuitemradio')).map((item) => item.textContent);
    expect(names).toEqual(['Auto', '1080p60 (source)', 'Audio only']);
    await user.click(screen.getByRole('menuitemradio', { name: 'Audio only' }));
    expect(source().audioOnly).toBe(true);
  });

  it("warns about the streamer's settings in the stats", async () => {
    const stream = streamNamed('studio');
    const sentence = 'Set the keyframe interval to 2 s.';
    watch({ ...stream, health: { ...stream.health, warnings: [{ code: 'keyframe_interval', sentence }] } });
    await goOn();
    await userEvent.keyboard('i');
    expect(screen.getByTestId('stats-panel')).toHaveTextContent(sentence);
  });
});
