import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeVideo } from '@/testing/fake-video';
import { FakeSource } from './fake-source';
import { Player, type PlayerOptions } from './player';
import type { PlayerState } from './player-state';
import type { Probe } from './probe';
import type { Position } from './source';

const URL_OF_CHANNEL = '/live/studio/index.m3u8';

/** A player on fakes, a server that answers what `probe` says, and virtual time. */
function stage(options: Partial<PlayerOptions> = {}) {
  const media = fakeVideo();
  const sources: FakeSource[] = [];
  const probe = vi.fn<() => Promise<Probe>>().mockResolvedValue('offline');
  const turned = vi.fn();
  const create = () => {
    const player = new Player(
      media.video,
      { url: URL_OF_CHANNEL, autoplay: true, muted: false, volume: 0.8, wish: 'auto', ...options },
      {
        createSource: (_video, options) => {
          const source = new FakeSource(options);
          sources.push(source);
          return source;
        },
        probe,
        now: () => performance.now(),
        random: () => 0.5,
        canChangeRate: true,
      },
    );
    player.events.on('turned', turned);
    return player;
  };
  const acts = {
    ...media,
    sources,
    probe,
    turned,
    player: null as unknown as Player,
    get source(): FakeSource {
      const source = sources.at(-1);
      if (source === undefined) throw new Error('no source was made');
      return source;
    },
    get state(): PlayerState {
      return acts.player.view.state;
    },
    /** Lets media up to `edge` arrive, with the playhead `latency` behind. */
    goOn(edge: number, latency: number, more: Partial<Position> = {}) {
      media.video.currentTime = edge - latency;
      media.buffer([0, edge - 0.3]);
      acts.source.now = { edge, holdBack: 1, pictureTime: null, live: true, gap: false, resumeAt: null, ...more };
    },
  };
  return { stage: acts, start: () => (acts.player = create()) };
}

const tick = (ms = 250) => vi.advanceTimersByTimeAsync(ms);

let made: ReturnType<typeof stage>;
function playing(options?: Partial<PlayerOptions>) {
  made = stage(options);
  made.start();
  return made.stage;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
});
afterEach(() => {
  made.stage.player.destroy();
  vi.useRealTimers();
});

describe('Player', () => {
  it('loads, then plays with sound at the live edge', async () => {
    const s = playing();
    expect([s.state.kind, s.source.loaded]).toEqual(['loading', URL_OF_CHANNEL]);
    s.goOn(20, 1);
    await tick();
    expect(s.player.view).toMatchObject({
      state: { kind: 'playing' },
      latency: 1,
      atEdge: true,
      muted: false,
      soundBlocked: false,
    });
  });

  it('starts muted, and says so, where the browser allows no sound', async () => {
    const { stage: s, start } = (made = stage());
    s.allow('muted');
    start();
    s.goOn(20, 1);
    await tick();
    expect(s.player.view).toMatchObject({ state: { kind: 'playing' }, muted: true, soundBlocked: true });
    s.player.setMuted(false);
    expect(s.player.view).toMatchObject({ muted: false, soundBlocked: false });
  });

  it('waits for a click where the browser allows nothing', async () => {
    const { stage: s, start } = (made = stage());
    s.allow('nothing');
    start();
    s.goOn(20, 1);
    await tick();
    expect(s.state.kind).toBe('paused');
    s.allow('sound');
    s.player.play();
    await tick();
    expect(s.state.kind).toBe('playing');
  });

  it('shows an offline channel and starts by itself within two seconds of its broadcast', async () => {
    const s = playing();
    s.source.events.emit('failed', { kind: 'offline' });
    expect(s.state.kind).toBe('offline');
    await tick(10_000);
    expect(s.state.kind).toBe('offline');
    s.probe.mockResolvedValue('live');
    await tick(2_000);
    expect([s.sources.length, s.state.kind]).toEqual([2, 'loading']);
    s.goOn(5, 1);
    await tick();
    expect(s.state.kind).toBe('playing');
  });

  it('waits for the next broadcast when one has ended', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.turned.mockClear();
    s.source.events.emit('ended', null);
    expect([s.state.kind, s.source.destroyed]).toEqual(['offline', true]);
    expect(s.turned).toHaveBeenCalledOnce();
    s.probe.mockResolvedValue('live');
    await tick(2_000);
    expect(s.sources).toHaveLength(2);
  });

  it('plays out what it has when the server is lost, says so, and comes back', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.probe.mockResolvedValue('unreachable');
    s.source.events.emit('failed', { kind: 'network', detail: 'refused' });
    expect(s.state.kind).toBe('playing');
    s.buffer();
    await tick();
    expect(s.state).toEqual({ kind: 'error', problem: 'unreachable', fatal: false });
    await tick(60_000);
    const tries = s.probe.mock.calls.length;
    expect(tries).toBeGreaterThan(10);
    expect(tries).toBeLessThan(25);
    // Back, but the publisher is not yet.
    s.probe.mockResolvedValue('offline');
    await tick(6_000);
    expect(s.state.kind).toBe('offline');
    s.probe.mockResolvedValue('live');
    await tick(2_000);
    s.goOn(3, 1);
    await tick();
    expect(s.state.kind).toBe('playing');
  });

  it('waits through an interruption and goes on after the gap', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.goOn(21, 0.3, { gap: true });
    s.buffer([0, s.video.currentTime]);
    await tick();
    expect(s.state.kind).toBe('interrupted');
    await tick(10_000);
    s.source.now = { edge: 34, holdBack: 1, pictureTime: null, live: true, gap: false, resumeAt: 33 };
    s.buffer([33, 33.8]);
    await tick();
    expect(s.video.currentTime).toBeCloseTo(33, 1);
    await tick();
    expect(s.state.kind).toBe('playing');
    expect(s.sources).toHaveLength(1);
  });

  it('ends with a broadcast whose publisher never came back', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.goOn(20, 0.3, { gap: true });
    s.buffer([0, s.video.currentTime]);
    await tick(20_000);
    expect(s.state.kind).toBe('interrupted');
    s.source.now = { edge: 50, holdBack: 1, pictureTime: null, live: false, gap: false, resumeAt: null };
    await tick(1_500);
    expect(s.state.kind).toBe('offline');
  });

  it('does not take the gap that leads a new playlist for an interruption', async () => {
    const s = playing();
    s.source.now = { edge: 20, holdBack: 1, pictureTime: null, live: true, gap: false, resumeAt: 12 };
    await tick(2_000);
    expect([s.video.currentTime, s.state.kind]).toEqual([0, 'loading']);
  });

  it('starts where media begins when its start position lies in the gap before', async () => {
    const s = playing();
    s.source.now = { edge: 12.6, holdBack: 1, pictureTime: null, live: true, gap: false, resumeAt: 12 };
    s.video.currentTime = 11.6;
    s.buffer([12, 12.6]);
    await tick();
    expect(s.video.currentTime).toBeCloseTo(12, 1);
  });

  it('leaves a hole that nothing fills', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.video.currentTime = 2;
    s.buffer([10, 19.7]);
    await tick(500);
    expect(s.video.currentTime).toBe(2);
    await tick(500);
    expect(s.video.currentTime).toBeCloseTo(19);
  });

  it('begins anew with the broadcast that takes the place of a lost one', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.turned.mockClear();
    const lost = s.source;
    lost.events.emit('replaced', null);
    expect([lost.destroyed, s.sources.length, s.source.loaded]).toEqual([true, 2, URL_OF_CHANNEL]);
    expect(s.turned).toHaveBeenCalledOnce();
    s.goOn(5, 1);
    await tick();
    expect(s.state.kind).toBe('playing');
  });

  it('begins anew, ever less often, where nothing moves and nobody knows why', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.source.now = null;
    s.buffer([0, 16.35]);
    s.video.currentTime = 95.64;
    await tick(9_500);
    expect(s.sources).toHaveLength(1);
    await tick(1_000);
    expect(s.sources).toHaveLength(2);
    await tick(19_000);
    expect(s.sources).toHaveLength(2);
    await tick(1_500);
    expect(s.sources).toHaveLength(3);
    s.goOn(5, 1);
    await tick();
    expect(s.state.kind).toBe('playing');
  });

  it('does not begin anew while it is paused, or its publisher is away', async () => {
    const s = playing();
    s.goOn(20, 0.3, { gap: true });
    s.buffer([0, s.video.currentTime]);
    await tick(30_000);
    s.source.now = { edge: 50, holdBack: 1, pictureTime: null, live: true, gap: false, resumeAt: null };
    s.player.pause();
    await tick(30_000);
    expect(s.sources).toHaveLength(1);
  });

  it('recovers from media errors, then loads anew, and gives up only when nothing helps', async () => {
    const s = playing();
    s.probe.mockResolvedValue('live');
    const broken = { kind: 'media', detail: 'decode' } as const;
    s.source.events.emit('failed', broken);
    s.source.events.emit('failed', broken);
    expect([s.source.recoveries, s.sources.length]).toEqual([2, 1]);
    s.source.events.emit('failed', broken);
    await tick(2_000);
    expect(s.sources).toHaveLength(2);
    s.source.events.emit('failed', broken);
    s.source.events.emit('failed', broken);
    expect(s.state).toEqual({ kind: 'error', problem: 'undecodable', fatal: true });
    await tick(60_000);
    expect(s.sources).toHaveLength(2);
    s.player.retry();
    expect([s.sources.length, s.state.kind]).toEqual([3, 'loading']);
  });

  it('forgets media errors of long ago', async () => {
    const s = playing();
    s.probe.mockResolvedValue('live');
    for (let failures = 0; failures < 12; failures += 1) {
      s.source.events.emit('failed', { kind: 'media', detail: 'decode' });
      await tick(30_000);
    }
    expect(s.state.kind).not.toBe('error');
  });

  it('says when a browser can play nothing of this', () => {
    const s = playing();
    s.source.events.emit('failed', { kind: 'unsupported', detail: 'no codec' });
    expect(s.state).toEqual({ kind: 'error', problem: 'unsupported', fatal: true });
  });

  it('catches up when it fell behind', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick(4_000);
    s.goOn(20, 2);
    await tick();
    expect(s.video.playbackRate).toBeGreaterThan(1);
    expect(s.video.playbackRate).toBeLessThanOrEqual(1.1);
    s.goOn(40, 12);
    await tick();
    expect(s.video.currentTime).toBeCloseTo(39);
    expect(s.video.playbackRate).toBe(1);
  });

  it('leaves a person behind who paused, and takes them back on demand', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.player.pause();
    expect(s.state.kind).toBe('paused');
    await tick(8_000);
    s.player.play();
    s.goOn(28, 9);
    await tick(2_000);
    expect(s.video.currentTime).toBe(19);
    expect([s.player.view.atEdge, s.video.playbackRate]).toEqual([false, 1]);
    s.player.jumpToLive();
    await tick();
    expect(s.video.currentTime).toBeCloseTo(27);
    expect(s.player.view.atEdge).toBe(true);
  });

  it('does not start again by itself what was paused', async () => {
    const s = playing({ autoplay: false });
    s.source.events.emit('failed', { kind: 'offline' });
    s.probe.mockResolvedValue('live');
    await tick(2_000);
    s.goOn(5, 1);
    await tick(1_000);
    expect([s.state.kind, s.video.paused]).toEqual(['paused', true]);
  });

  it('loads the sound alone when asked, and the picture again', () => {
    const s = playing();
    s.player.chooseQuality('audio');
    expect([s.sources.length, s.source.audioOnly]).toEqual([2, true]);
    expect(s.player.view.quality.chosen).toBe('audio');
    s.player.chooseQuality('auto');
    expect([s.sources.length, s.source.audioOnly]).toEqual([3, false]);
    s.player.chooseQuality(0);
    expect([s.sources.length, s.source.chosen]).toEqual([3, 0]);
  });

  it('is at the live edge at once when its tab is shown again', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick(4_000);
    s.goOn(60, 30);
    s.buffer([0, 31]);
    document.dispatchEvent(new Event('visibilitychange'));
    expect(s.video.currentTime).toBeCloseTo(59);
  });

  it('plays on when the element was paused by having its media replaced', async () => {
    const s = playing();
    s.goOn(20, 1);
    await tick();
    s.reset();
    expect(s.video.paused).toBe(true);
    s.video.dispatchEvent(new Event('canplay'));
    expect([s.video.paused, s.state.kind]).toEqual([false, 'playing']);
  });

  it('leaves nothing behind when destroyed', async () => {
    const s = playing();
    s.source.events.emit('failed', { kind: 'network', detail: 'refused' });
    s.player.destroy();
    s.probe.mockClear();
    await tick(60_000);
    expect(s.probe).not.toHaveBeenCalled();
    expect(s.source.destroyed).toBe(true);
  });

  it('goes on under a new address, and looks there at once when it waits for one', async () => {
    const s = playing();
    s.source.events.emit('failed', { kind: 'offline' });
    s.probe.mockClear();
    const tokened = '/t/to.ke.n/live/studio/index.m3u8';
    s.probe.mockResolvedValue('live');
    s.player.moveTo(tokened);
    await tick(1);
    expect(s.probe).toHaveBeenCalledWith(tokened, expect.anything());
    expect(s.source.loaded).toBe(tokened);
    s.goOn(10, 1);
    await tick();
    s.player.moveTo('/t/ne.we.r/live/studio/index.m3u8');
    expect(s.source.address('/t/to.ke.n/live/studio/main/a-s1.m4s')).toContain('/t/ne.we.r/live/studio/main/a-s1.m4s');
    expect(s.sources).toHaveLength(2);
  });

  it('asks for what is known anew when the network fails: its address may be good no more', () => {
    const s = playing();
    s.source.events.emit('failed', { kind: 'network', detail: '403' });
    expect(s.turned).toHaveBeenCalledTimes(1);
    expect(s.state.kind).not.toBe('offline');
  });
});
