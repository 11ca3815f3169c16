import Hls, { ErrorDetails, ErrorTypes, Events } from 'hls.js';
import type { ErrorData, FragLoadingData, HlsConfig, Level, LevelParsed } from 'hls.js';
import workerPath from 'hls.js/dist/hls.worker.js?url';
import { Emitter } from '@/lib/emitter';
import { broadcastOf } from './broadcast';
import type { Position, Quality, QualityId, Source, SourceEvents, SourceFailure, SourceOptions } from './source';
import { endOfGap, endsInGap } from './timeline';
import { tooSlow } from './rescue';
import { pictureFor, saverCap, type Wish } from './wish';

/**
 * What differs from hls.js's defaults, and why.
 *
 * `liveSyncDuration` and `liveSyncDurationCount` must stay unset: either of them makes hls.js ignore
 * PART-HOLD-BACK, and with it the stream's own latency.
 */
const CONFIG: Partial<HlsConfig> = {
  workerPath,
  lowLatencyMode: true,
  // Latency is LatencyControl's: no second hand on the rate, no target that only ever grows.
  maxLiveSyncPlaybackRate: 1,
  liveSyncOnStallIncrease: 0,
  liveDurationInfinity: true,
  startFragPrefetch: true,
  maxBufferLength: 20,
  maxMaxBufferLength: 30,
  backBufferLength: 30,
  abrEwmaDefaultEstimateMax: 20_000_000,
  // Seconds of loading until half of the estimate is new. A second is buffered: who finds out in three that the line became
  // slow has stood still by then.
  abrEwmaFastLive: 0.4,
  abrEwmaSlowLive: 2,
  testBandwidth: false,
  nudgeMaxRetry: 8,
  enableInterstitialPlayback: false,
  // Patience with a server that restarts belongs to the player; a blocked reload may take 3 target durations.
  manifestLoadPolicy: { default: policy(0, 8_000) },
  playlistLoadPolicy: { default: policy(3, 30_000) },
  fragLoadPolicy: { default: policy(3, 30_000) },
};

function policy(tries: number, firstByteMs: number) {
  const retry = { maxNumRetry: tries, retryDelayMs: 250, maxRetryDelayMs: 1_000 };
  return {
    maxTimeToFirstByteMs: firstByteMs,
    maxLoadTimeMs: firstByteMs * 2,
    timeoutRetry: { ...retry, maxNumRetry: Math.min(tries, 1) },
    errorRetry: retry,
  };
}

/** What the browser knows of the line. */
export interface Line {
  /** Bits per second, to begin with. */
  readonly estimate: number;
  /** The person asked the browser for less data. */
  readonly saveData: boolean;
}

/** How often the line's measure is told. */
const MEASURE_MS = 5_000;
/** How often a part that is on its way is looked at. */
const WATCH_MS = 50;

/** Plays with hls.js, by Media Source Extensions or Apple's ManagedMediaSource. */
export class HlsSource implements Source {
  readonly name = 'hls.js';
  readonly events = new Emitter<SourceEvents>();
  readonly #hls: Hls;
  readonly #video: HTMLVideoElement;
  /** The renditions of the multivariant playlist; hls.js forgets audio-only ones beside a picture. */
  #variants: readonly LevelParsed[] = [];
  #audioOnlyUrl: string | null = null;
  readonly #audioOnly: boolean;
  readonly #wish: Wish;
  readonly #saveData: boolean;
  #measuredAt = 0;
  #loading: FragLoadingData | null = null;
  readonly #watcher: ReturnType<typeof setInterval>;
  /** A live playlist was seen. */
  #live = false;
  #broadcast: string | null = null;
  #recoveries = 0;

  static isSupported(): boolean {
    return Hls.isSupported();
  }

  constructor(video: HTMLVideoElement, { audioOnly, wish, address, estimate, saveData }: SourceOptions & Line) {
    this.#video = video;
    this.#audioOnly = audioOnly;
    this.#wish = wish;
    this.#saveData = saveData;
    const hls = new Hls({ ...CONFIG, abrEwmaDefaultEstimate: estimate, xhrSetup: (xhr, url) => open(xhr, address(url)) });
    this.#hls = hls;
    hls.on(Events.MANIFEST_LOADED, (_event, { levels }) => this.#handleManifest(levels));
    hls.on(Events.MANIFEST_PARSED, (_event, { levels }) => this.#begin(levels));
    hls.on(Events.FRAG_BUFFERED, () => this.#measure());
    hls.on(Events.FRAG_LOADING, (_event, loading) => {
      this.#loading = loading;
    });
    this.#watcher = setInterval(() => this.#watchLoading(), WATCH_MS);
    hls.on(Events.LEVEL_LOADED, (_event, { details }) => {
      // The tail of a broadcast that is over: whoever comes now waits for the next one.
      if (!details.live && !this.#live) this.events.emit('ended', null);
      this.#live ||= details.live;
      this.#handleBroadcast(broadcastOf(details.fragments.at(-1)?.url ?? ''));
    });
    hls.on(Events.MEDIA_ENDED, () => this.events.emit('ended', null));
    hls.on(Events.ERROR, (_event, error) => this.#handleError(error));
    hls.attachMedia(video);
  }

  load(url: string): void {
    this.#hls.loadSource(url);
  }

  position(): Position | null {
    const details = this.#hls.latestLevelDetails;
    if (details === null) return null;
    const time = this.#video.currentTime;
    return {
      edge: details.edge + (details.live ? details.age : 0),
      holdBack: details.partHoldBack || details.holdBack || details.targetduration * 3,
      pictureTime: this.#hls.playingDate?.getTime() ?? null,
      live: details.live,
      gap: details.live && endsInGap(details),
      resumeAt: endOfGap(details, time),
    };
  }

  quality() {
    if (this.#audioOnly) return { chosen: 'audio', playing: 'audio' } as const;
    const { autoLevelEnabled, loadLevel, currentLevel } = this.#hls;
    return {
      chosen: autoLevelEnabled ? 'auto' : loadLevel,
      playing: currentLevel === -1 ? null : currentLevel,
    } as const;
  }

  chooseQuality(id: QualityId): boolean {
    if (this.#audioOnly || id === 'audio') return this.#audioOnly && id === 'audio';
    // What is buffered is a second of the old picture: it plays, and nobody waits for the new one.
    this.#hls.loadLevel = id === 'auto' ? -1 : id;
    this.#cap(id === 'auto');
    return true;
  }

  recover(): boolean {
    this.#recoveries += 1;
    if (this.#recoveries > 2) return false;
    this.#hls.recoverMediaError();
    return true;
  }

  destroy(): void {
    clearInterval(this.#watcher);
    this.events.clear();
    this.#hls.destroy();
  }

  #handleManifest(levels: readonly LevelParsed[]): void {
    if (this.#variants.length > 0) return;
    this.#variants = levels;
    const pictures = levels.filter(hasPicture);
    const audio = levels.find((level) => !hasPicture(level));
    this.#audioOnlyUrl = pictures.length > 0 && audio ? audio.url : null;
    this.events.emit('qualities', this.#qualities());
    if (this.#audioOnly && this.#audioOnlyUrl !== null) this.#hls.loadSource(this.#audioOnlyUrl);
  }

  /** The levels are known, and nothing is loaded yet. */
  #begin(levels: readonly Level[]): void {
    if (this.#audioOnly) return;
    const pictures = levels.map((level) => ({ height: level.height, source: isSource(level.uri) }));
    const picture = pictureFor(this.#wish, pictures);
    this.#cap(picture === null);
    if (picture !== null) this.#hls.loadLevel = picture;
  }

  /** Who saves data is not given more than they ask for. */
  #cap(picks: boolean): void {
    if (!this.#saveData) return;
    const pictures = this.#hls.levels.map((level) => ({ height: level.height, source: isSource(level.uri) }));
    this.#hls.autoLevelCapping = picks && pictures.length > 1 ? saverCap(pictures) : -1;
  }

  /** A line that became slow is noticed within the part that finds it so. */
  #watchLoading(): void {
    const { frag, part } = this.#loading ?? {};
    const hls = this.#hls;
    if (frag === undefined || (frag.type as string) !== 'main' || frag.level === 0 || !hls.autoLevelEnabled) return;
    const { stats, duration } = part ?? frag;
    const level = hls.levels[frag.level];
    if (level === undefined || stats.aborted || stats.loading.first === 0 || stats.loading.end > 0) return;
    if (this.#video.paused || this.#video.readyState === 0) return;
    const rate = tooSlow({
      elapsedMs: performance.now() - stats.loading.first,
      loaded: stats.loaded,
      expected: Math.max(stats.total, (level.averageBitrate * duration) / 8),
      ahead: hls.mainForwardBufferInfo?.len ?? 0,
    });
    if (rate === null) return;
    this.#loading = null;
    hls.bandwidthEstimate = rate;
    const next = hls.nextAutoLevel;
    if (next >= frag.level) return;
    hls.nextLoadLevel = next;
    frag.abortRequests();
    hls.trigger(Events.FRAG_LOAD_EMERGENCY_ABORTED, { frag, part: part ?? null, stats });
  }

  #measure(): void {
    const now = performance.now();
    if (now - this.#measuredAt < MEASURE_MS) return;
    this.#measuredAt = now;
    const estimate = this.#hls.bandwidthEstimate;
    if (Number.isFinite(estimate)) this.events.emit('measured', Math.round(estimate));
  }

  /**
   * hls.js would splice the next broadcast into the timeline of the last one by guesses about the time between them;
   * they have nothing in common but the address.
   */
  #handleBroadcast(broadcast: string | null): void {
    if (broadcast === null) return;
    if (this.#broadcast !== null && broadcast !== this.#broadcast) this.events.emit('replaced', null);
    this.#broadcast = broadcast;
  }

  /** Levels as hls.js will number them: those with a picture if there is one, by rising lines, rate and bitrate. */
  #qualities(): readonly Quality[] {
    const rate = (level: LevelParsed) => Number(level.attrs['FRAME-RATE']) || 0;
    const order = (a: LevelParsed, b: LevelParsed) =>
      (a.height ?? 0) - (b.height ?? 0) || rate(a) - rate(b) || a.bitrate - b.bitrate;
    const pictures = this.#variants.filter(hasPicture).sort(order);
    const choices = pictures.map((level, id): Quality => {
      const frameRate = Number(level.attrs['FRAME-RATE']);
      return {
        id,
        height: level.height || null,
        frameRate: Number.isFinite(frameRate) && frameRate > 0 ? frameRate : null,
        source: pictures.length === 1 || isSource(level.url),
      };
    });
    const plain = { height: null, frameRate: null, source: false };
    return [
      { id: 'auto', ...plain },
      ...choices.reverse(),
      ...(this.#audioOnlyUrl === null ? [] : [{ id: 'audio' as const, ...plain }]),
    ];
  }

  #handleError(error: ErrorData): void {
    if (error.details === ErrorDetails.BUFFER_STALLED_ERROR && !error.fatal) {
      this.events.emit('stalled', null);
    }
    if (error.fatal) this.events.emit('failed', failureOf(error));
  }
}

function open(xhr: XMLHttpRequest, url: string): void {
  xhr.open('GET', url, true);
  // Whoever plays with us is counted by beats; a server that counts other players by their requests sees it here.
  if (new URL(url, location.href).origin === location.origin) xhr.setRequestHeader('X-Millrace-Player', '1');
}

function hasPicture(level: LevelParsed): boolean {
  return level.videoCodec !== undefined || (level.width ?? 0) > 0;
}

/** The rendition that the streamer's encoder made. */
function isSource(url: string): boolean {
  return /\/main\/index\.m3u8(\?|$)/.test(url);
}

function failureOf(error: ErrorData): SourceFailure {
  const detail = `${error.details}: ${error.reason ?? error.error.message}`;
  const status = error.response?.code;
  if (error.details === ErrorDetails.MANIFEST_LOAD_ERROR && status === 404) return { kind: 'offline' };
  if (error.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) return { kind: 'unsupported', detail };
  const kind = error.type === ErrorTypes.NETWORK_ERROR ? 'network' : 'media';
  return { kind, detail };
}
