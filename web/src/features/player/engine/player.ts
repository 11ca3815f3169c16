import { Backoff } from '@/lib/backoff';
import { Emitter } from '@/lib/emitter';
import { aheadOf, spansOf, wayOut } from '@/lib/ranges';
import { latencyShown } from './latency-shown';
import { LatencyControl } from './latency-control';
import { LiveEdge } from './live-edge';
import { stateOf, type Phase, type PlayerState } from './player-state';
import type { Probe } from './probe';
import { readdressed } from './address';
import { Standstill } from './standstill';
import { wishOf, type Wish } from './wish';
import type { Position, Quality, QualityId, Source, SourceFailure, SourceOptions } from './source';

/** What a person sees of the player; a new object at each change. */
export interface PlayerView {
  readonly state: PlayerState;
  /** Seconds behind the camera as far as the page can tell; `null` while nothing plays. */
  readonly latency: number | null;
  /** Seconds aimed at. */
  readonly target: number | null;
  readonly atEdge: boolean;
  /** The browser allowed no sound without a click, so playback began muted. */
  readonly soundBlocked: boolean;
  readonly muted: boolean;
  readonly volume: number;
  readonly qualities: readonly Quality[];
  readonly quality: { readonly chosen: QualityId; readonly playing: QualityId | null };
}

export interface PlayerEvents {
  view: PlayerView;
  /** A broadcast began, ended or was lost: what is known about the channel is out of date. */
  turned: null;
  /** The person chose a quality, for this broadcast and others. */
  wished: Wish;
  /** For logs and tests. Fatal: the player gave up. */
  problem: { readonly failure: SourceFailure; readonly fatal: boolean };
}

/** What the player needs of the outside. */
export interface PlayerDeps {
  /** `null`: this browser can play no HLS at all. */
  readonly createSource: (video: HTMLVideoElement, options: SourceOptions) => Source | null;
  readonly probe: (url: string, signal: AbortSignal) => Promise<Probe>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** In `[0, 1)`. */
  readonly random: () => number;
  /** Rate changes break playback on iOS. */
  readonly canChangeRate: boolean;
}

export interface PlayerOptions {
  readonly url: string;
  readonly autoplay: boolean;
  readonly muted: boolean;
  readonly volume: number;
  /** What was chosen the last time. */
  readonly wish: Wish;
}

const TICK_MS = 250;
/** An offline channel is asked for this often, so that a broadcast appears within two seconds of its start. */
const OFFLINE_PROBE_MS = 1_300;
const HIDDEN_PROBE_MS = 5_000;
const RECONNECT = { first: 300, most: 4_000, factor: 1.7, jitter: 0.3 };
/** Media failures within a minute before the player gives up. */
const MOST_MEDIA_FAILURES = 4;
const MEDIA_FAILURE_MEMORY_MS = 60_000;
/** A viewer who chose to be behind is taken back to live beyond this, in seconds: the window ends soon after. */
const MOST_BEHIND = 25;
/** How long playback may wait at a hole before the player leaves it; hls.js closes small ones sooner. */
const MOST_STUCK_MS = 600;
const HAVE_FUTURE_DATA = 3;

/**
 * Plays one channel for as long as the page is open: waits while it is offline, keeps to the live edge,
 * and comes back by itself after stalls, publisher interruptions, ended broadcasts and server restarts.
 */
export class Player {
  readonly events = new Emitter<PlayerEvents>();
  readonly #deps: PlayerDeps;
  #url: string;
  readonly #video: HTMLVideoElement;
  readonly #aborter = new AbortController();
  readonly #control = new LatencyControl();
  readonly #edge = new LiveEdge();
  readonly #standstill = new Standstill();
  readonly #reconnect = new Backoff(RECONNECT);
  readonly #ticker: ReturnType<typeof setInterval>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #source: Source | null = null;
  #phase: Phase = { kind: 'attached' };
  #wantsPlay: boolean;
  #hasPlayed = false;
  /** Whether latency is controlled; off while the person has chosen to be behind. */
  #follows = true;
  #pausedAt: number | null = null;
  #pausedByHiding = false;
  #stuckSince: number | null = null;
  #wish: Wish;
  #soundBlocked = false;
  #qualities: readonly Quality[] = [];
  #mediaFailures: number[] = [];
  #view: PlayerView;

  constructor(video: HTMLVideoElement, options: PlayerOptions, deps: PlayerDeps) {
    this.#video = video;
    this.#deps = deps;
    this.#url = options.url;
    this.#wantsPlay = options.autoplay;
    this.#wish = options.wish;
    video.muted = options.muted;
    video.volume = options.volume;
    video.playsInline = true;
    video.preservesPitch = true;
    const { signal } = this.#aborter;
    const listen = (type: string, handle: () => void) => video.addEventListener(type, handle, { signal });
    listen('play', () => this.#handlePlay());
    listen('pause', () => this.#handlePause());
    // Attaching media anew pauses an element without a word.
    listen('canplay', () => {
      if (this.#wantsPlay && video.paused) this.#start();
    });
    for (const type of ['playing', 'waiting', 'seeked', 'loadeddata', 'volumechange', 'emptied']) {
      listen(type, () => this.#refresh());
    }
    document.addEventListener('visibilitychange', () => this.#handleVisibility(), { signal });
    window.addEventListener('online', () => this.#handleOnline(), { signal });
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#view = this.#look(null);
    this.#load();
  }

  get view(): PlayerView {
    return this.#view;
  }

  get sourceName(): Source['name'] | null {
    return this.#source?.name ?? null;
  }

  destroy(): void {
    this.#aborter.abort();
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
    this.#dropSource();
    this.events.clear();
  }

  play(): void {
    this.#wantsPlay = true;
    const behind = this.#pausedAt !== null && (this.#view.latency ?? 0) > MOST_BEHIND;
    if (behind) this.jumpToLive();
    this.#start();
    this.#refresh();
  }

  pause(): void {
    this.#wantsPlay = false;
    this.#video.pause();
    this.#refresh();
  }

  togglePlay(): void {
    if (this.#wantsPlay) this.pause();
    else this.play();
  }

  /** Goes back to the live edge and stays there. */
  jumpToLive(): void {
    this.#follows = true;
    this.#pausedAt = null;
    const position = this.#source?.position();
    if (position) this.#seek(position.edge - this.#control.target(position.holdBack));
    if (!this.#wantsPlay) this.play();
    this.#refresh();
  }

  /** Moves by seconds within what is buffered or still listed; forwards beyond the target means live. */
  seekBy(seconds: number): void {
    const position = this.#source?.position();
    if (!position) return;
    const to = this.#video.currentTime + seconds;
    if (to >= position.edge - this.#control.target(position.holdBack)) {
      this.jumpToLive();
      return;
    }
    this.#follows = false;
    const { buffered } = this.#video;
    this.#seek(Math.max(to, buffered.length > 0 ? buffered.start(0) : to));
  }

  setMuted(muted: boolean): void {
    this.#soundBlocked = false;
    this.#video.muted = muted;
    if (!muted && this.#video.volume === 0) this.#video.volume = 0.5;
    this.#refresh();
  }

  /** `volume` from 0 to 1; more than 0 also unmutes. */
  setVolume(volume: number): void {
    this.#video.volume = Math.min(1, Math.max(0, volume));
    this.setMuted(this.#video.volume === 0);
  }

  chooseQuality(id: QualityId): void {
    const quality = this.#qualities.find((choice) => choice.id === id);
    this.#wish = quality === undefined ? (id === 'audio' ? id : 'auto') : wishOf(quality);
    this.events.emit('wished', this.#wish);
    if (this.#source?.chooseQuality(id) === true) this.#refresh();
    else this.#load();
  }

  /** The same media is at `url` from now on. What plays goes on. */
  moveTo(url: string): void {
    if (url === this.#url) return;
    this.#url = url;
    if (this.#phase.kind === 'offline' || this.#phase.kind === 'reconnecting') this.#probeIn(0);
  }

  /** Starts over after a fatal error, or sooner than the next try. */
  retry(): void {
    this.#mediaFailures = [];
    this.#reconnect.reset();
    this.#load();
  }

  #load(): void {
    clearTimeout(this.#timer);
    this.#dropSource();
    this.#hasPlayed = false;
    this.#follows = true;
    this.#pausedAt = null;
    this.#edge.reset();
    this.#control.handleJoin();
    const source = this.#deps.createSource(this.#video, {
      audioOnly: this.#wish === 'audio',
      wish: this.#wish,
      address: (url) => readdressed(url, this.#url),
    });
    if (source === null) {
      this.#giveUp({ kind: 'unsupported', detail: 'no media source extensions and no native HLS' });
      return;
    }
    this.#source = source;
    this.#phase = { kind: 'attached' };
    source.events.on('qualities', (qualities) => {
      this.#qualities = qualities;
      this.#refresh();
    });
    source.events.on('stalled', () => this.#handleStall());
    source.events.on('ended', () => this.#goOffline());
    source.events.on('replaced', () => {
      this.#load();
      this.events.emit('turned', null);
    });
    source.events.on('failed', (failure) => this.#handleFailure(failure));
    source.load(this.#url);
    if (this.#wantsPlay) this.#start();
    this.#refresh();
  }

  #dropSource(): void {
    this.#source?.destroy();
    this.#source = null;
    this.#control.handlePause();
    this.#video.playbackRate = 1;
  }

  /** Plays with sound if the browser lets us, else muted, else waits for a click. */
  #start(): void {
    const refused = (error: unknown) =>
      error instanceof DOMException && error.name === 'NotAllowedError' && !this.#aborter.signal.aborted;
    this.#attemptPlay().catch((error: unknown) => {
      if (!refused(error)) return;
      if (this.#video.muted) {
        this.#wantsPlay = false;
        this.#refresh();
        return;
      }
      this.#video.muted = true;
      this.#soundBlocked = true;
      this.#refresh();
      this.#attemptPlay().catch((again: unknown) => {
        if (!refused(again)) return;
        this.#wantsPlay = false;
        this.#refresh();
      });
    });
  }

  async #attemptPlay(): Promise<void> {
    await this.#video.play();
  }

  #handlePlay(): void {
    this.#wantsPlay = true;
    const now = this.#deps.now();
    if (this.#pausedAt !== null && now - this.#pausedAt > 1_000) this.#follows = false;
    this.#pausedAt = null;
    this.#refresh();
  }

  #handlePause(): void {
    if (this.#video.ended) return;
    this.#wantsPlay = false;
    this.#pausedByHiding = document.visibilityState === 'hidden';
    this.#pausedAt = this.#hasPlayed ? this.#deps.now() : null;
    this.#control.handlePause();
    this.#refresh();
  }

  #handleVisibility(): void {
    if (document.visibilityState === 'hidden') return;
    this.#control.handleVisible();
    if (this.#pausedByHiding) {
      this.#pausedByHiding = false;
      this.#pausedAt = null;
      this.play();
    }
    if (this.#phase.kind === 'offline' || this.#phase.kind === 'reconnecting') this.#probeIn(0);
    this.#tick();
  }

  #handleOnline(): void {
    if (this.#phase.kind !== 'reconnecting') return;
    this.#reconnect.reset();
    this.#probeIn(0);
  }

  #handleStall(): void {
    const position = this.#source?.position();
    const ours = this.#hasPlayed && this.#follows && document.visibilityState === 'visible';
    if (ours && position?.gap === false) this.#control.handleStall();
    this.#refresh();
  }

  #handleFailure(failure: SourceFailure): void {
    this.events.emit('problem', { failure, fatal: false });
    switch (failure.kind) {
      case 'offline':
        this.#goOffline();
        return;
      case 'network':
        // Perhaps the address is good no more: whoever listens brings the next one.
        this.events.emit('turned', null);
        this.#phase = { kind: 'reconnecting' };
        this.#probeIn(this.#reconnect.next(this.#deps.random()));
        this.#refresh();
        return;
      case 'media':
        this.#handleMediaFailure(failure);
        return;
      case 'unsupported':
        this.#giveUp(failure);
    }
  }

  #handleMediaFailure(failure: SourceFailure): void {
    const now = this.#deps.now();
    this.#mediaFailures = this.#mediaFailures.filter((at) => now - at < MEDIA_FAILURE_MEMORY_MS);
    this.#mediaFailures.push(now);
    if (this.#mediaFailures.length > MOST_MEDIA_FAILURES) {
      this.#giveUp(failure);
      return;
    }
    if (this.#source?.recover() === true) {
      if (this.#wantsPlay) this.#start();
      return;
    }
    this.#dropSource();
    this.#phase = { kind: 'reconnecting' };
    this.#probeIn(this.#reconnect.next(this.#deps.random()));
    this.#refresh();
  }

  #giveUp(failure: SourceFailure): void {
    this.#dropSource();
    clearTimeout(this.#timer);
    const problem = failure.kind === 'unsupported' ? 'unsupported' : 'undecodable';
    this.#phase = { kind: 'failed', problem };
    this.events.emit('problem', { failure, fatal: true });
    this.#refresh();
  }

  #goOffline(): void {
    this.#dropSource();
    this.#reconnect.reset();
    this.#phase = { kind: 'offline' };
    this.#refresh();
    this.#probeIn(this.#offlineWait());
    this.events.emit('turned', null);
  }

  #offlineWait(): number {
    const wait = document.visibilityState === 'hidden' ? HIDDEN_PROBE_MS : OFFLINE_PROBE_MS;
    return wait * (0.85 + 0.3 * this.#deps.random());
  }

  #probeIn(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#probe(), wait);
  }

  async #probe(): Promise<void> {
    const { signal } = this.#aborter;
    const phase = this.#phase;
    const answer = await this.#deps.probe(this.#url, signal);
    if (signal.aborted || this.#phase !== phase) return;
    if (answer === 'live') {
      this.#load();
      this.events.emit('turned', null);
    } else if (answer === 'unreachable') {
      this.#phase = { kind: 'reconnecting' };
      this.#probeIn(this.#reconnect.next(this.#deps.random()));
      this.#refresh();
    } else if (phase.kind === 'offline') {
      this.#probeIn(this.#offlineWait());
    } else if (this.#hasMedia()) {
      // A server that restarts knows no channel until the publisher is back; meanwhile the buffer plays out.
      this.#probeIn(this.#offlineWait());
    } else {
      this.#goOffline();
    }
  }

  /** A few times a second: measure, control, show. */
  #tick(): void {
    const position = this.#source?.position() ?? null;
    if (position !== null) {
      this.#leaveHole(position);
      this.#keepLatency(position);
    }
    if (this.#standsStill(position)) {
      this.events.emit('problem', { failure: { kind: 'media', detail: 'nothing moved for long' }, fatal: false });
      this.#load();
      return;
    }
    this.#refresh(position);
  }

  /** Whether nothing has moved for long although it should. */
  #standsStill(position: Position | null): boolean {
    const shouldMove = this.#wantsPlay && this.#phase.kind === 'attached';
    if (!shouldMove || position?.gap === true || document.visibilityState === 'hidden') {
      this.#standstill.handleRest();
      return false;
    }
    const { buffered, currentTime } = this.#video;
    return this.#standstill.handleSample({
      now: this.#deps.now(),
      playhead: currentTime,
      bufferedTo: buffered.length > 0 ? buffered.end(buffered.length - 1) : 0,
    });
  }

  /** Goes on where there is media again if playback waits at a hole that nothing will fill. */
  #leaveHole(position: Position): void {
    const video = this.#video;
    if (!this.#wantsPlay || this.#hasMedia() || (video.seeking && this.#hasPlayed)) {
      this.#stuckSince = null;
      return;
    }
    // Before the start the playhead is at 0, in the gap that leads every new playlist; starting is the source's.
    if (position.resumeAt !== null && this.#hasPlayed) {
      this.#seek(position.resumeAt + 0.01);
      return;
    }
    const now = this.#deps.now();
    this.#stuckSince ??= now;
    // No one waits for a start that may as well be a little later.
    if (this.#hasPlayed && now - this.#stuckSince < MOST_STUCK_MS) return;
    const wanted = position.edge - this.#control.target(position.holdBack);
    const to = wayOut(spansOf(video.buffered), video.currentTime + 0.1, wanted);
    if (to !== null) this.#seek(to);
    // The end of a broadcast that stopped in an interruption is a gap, which no player reaches the end of.
    else if (!position.live && this.#hasPlayed) this.#goOffline();
  }

  #keepLatency(position: Position): void {
    const video = this.#video;
    const latency = position.edge - video.currentTime;
    const playing = this.#wantsPlay && !video.paused && !video.seeking && this.#hasPlayed;
    if (playing && !this.#follows && latency > MOST_BEHIND) this.#follows = true;
    if (!playing || !this.#follows || position.gap || this.#phase.kind !== 'attached') {
      this.#control.handlePause();
      if (video.playbackRate !== 1) video.playbackRate = 1;
      return;
    }
    const action = this.#control.handleSample({
      now: this.#deps.now(),
      latency,
      holdBack: position.holdBack,
      ahead: aheadOf(spansOf(video.buffered), video.currentTime),
      canChangeRate: this.#deps.canChangeRate,
    });
    if (action.kind === 'jump') {
      video.playbackRate = 1;
      this.#seek(position.edge - action.latency);
    } else if (video.playbackRate !== action.rate) {
      video.playbackRate = action.rate;
    }
  }

  #seek(to: number): void {
    if (Number.isFinite(to)) this.#video.currentTime = Math.max(0, to);
  }

  #hasMedia(): boolean {
    return this.#source !== null && this.#video.readyState >= HAVE_FUTURE_DATA;
  }

  #refresh(position: Position | null = this.#source?.position() ?? null): void {
    if (this.#aborter.signal.aborted) return;
    if (this.#hasMedia() && !this.#video.paused) {
      this.#hasPlayed = true;
      if (this.#phase.kind === 'attached') this.#reconnect.reset();
    }
    const view = this.#look(position);
    if (same(view, this.#view)) return;
    this.#view = view;
    this.events.emit('view', view);
  }

  #look(position: Position | null): PlayerView {
    const video = this.#video;
    const state = stateOf({
      phase: this.#phase,
      wantsPlay: this.#wantsPlay,
      hasMedia: this.#hasMedia(),
      hasPlayed: this.#hasPlayed,
      gap: position?.gap ?? false,
    });
    const measured = position !== null && this.#hasPlayed;
    const fromEdge = measured ? Math.max(0, position.edge - video.currentTime) : null;
    const target = measured ? this.#control.target(position.holdBack) : null;
    const atEdge =
      fromEdge === null || target === null || position?.gap === true
        ? this.#edge.atEdge
        : this.#edge.handleSample(this.#deps.now(), fromEdge - target);
    const latency =
      fromEdge === null ? null : latencyShown(fromEdge, position?.pictureTime ?? null, Date.now());
    return {
      state,
      latency: latency === null ? null : Math.round(latency * 100) / 100,
      target,
      atEdge,
      soundBlocked: this.#soundBlocked && video.muted,
      muted: video.muted || video.volume === 0,
      volume: video.volume,
      qualities: this.#qualities,
      quality: this.#source?.quality() ?? { chosen: this.#wish === 'audio' ? 'audio' : 'auto', playing: null },
    };
  }
}

function same(a: PlayerView, b: PlayerView): boolean {
  return (
    JSON.stringify({ ...a, qualities: null }) === JSON.stringify({ ...b, qualities: null }) &&
    a.qualities === b.qualities
  );
}
