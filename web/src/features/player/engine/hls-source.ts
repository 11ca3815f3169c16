import Hls, { AbrController, BufferController, ErrorDetails, ErrorTypes, Events } from 'hls.js';
import type { ErrorData, FragLoadingData, HlsConfig, Level, LevelParsed } from 'hls.js';
import workerPath from 'hls.js/dist/hls.worker.js?url';
import { Emitter } from '@/lib/emitter';
import { broadcastOf } from './broadcast';
import type { Position, Quality, QualityId, Source, SourceEvents, SourceFailure, SourceOptions } from './source';
import { endOfGap, endsInGap } from './timeline';
import { LineMeter } from './line-meter';
import { forgotToLoad, RISE_AFTER_MS, rescueLevel, tooSlow } from './rescue';
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
/** For how long a playlist that is not read anew says where its segments are, in seconds. */
const KNOWN_FOR_S = 2;
/** No append takes longer, in milliseconds. */
const APPENDED_MS = 1_000;
/** So long has to be played until what is left to play says something of the line, in seconds: at first it is little. */
const SETTLED_S = 1.5;
/** How often a part that is on its way is looked at. */
const WATCH_MS = 30;

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
  readonly #meter: LineMeter;
  #tracker: Tracker | null = null;
  #measuredAt = 0;
  /** The part or segment that is on its way, or was the last. */
  #loading: Pick<FragLoadingData, 'frag' | 'part'> | null = null;
  /** When something was last loaded, appended or changed; when the picture was, once there was one; since when what was loaded is
   *  not in the buffer. */
  #busyAt = 0;
  #appendingSince: number | null = null;
  #changedAt = -RISE_AFTER_MS;
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
    this.#meter = new LineMeter(estimate);
    const hls = new Hls({
      ...CONFIG,
      abrEwmaDefaultEstimate: estimate,
      abrController: picking(this.#meter, () => performance.now() - this.#changedAt >= RISE_AFTER_MS),
      bufferController: tellingOf((tracker) => {
        this.#tracker = tracker;
      }),
      xhrSetup: (xhr, url) => open(xhr, address(url)),
    });
    this.#hls = hls;
    hls.on(Events.MANIFEST_LOADED, (_event, { levels }) => this.#handleManifest(levels));
    hls.on(Events.MANIFEST_PARSED, (_event, { levels }) => this.#begin(levels));
    hls.on(Events.FRAG_LOADED, (_event, { frag, part }) => {
      const { loading, loaded } = (part ?? frag).stats;
      this.#meter.came(loading.end, loading.end - loading.first, loaded);
      this.#busyAt = performance.now();
      this.#appendingSince = this.#busyAt;
      // The parts of a segment that are there are loaded in a row, and only the first is announced.
      const next = part && hls.levels[frag.level]?.details?.partList?.find(
        ({ fragment, index }) => fragment.sn === frag.sn && index === part.index + 1,
      );
      if (next) this.#loading = { frag, part: next };
    });
    hls.on(Events.FRAG_BUFFERED, () => {
      this.#busyAt = performance.now();
      this.#appendingSince = null;
      this.#measure();
    });
    hls.on(Events.FRAG_LOADING, (_event, loading) => {
      this.#busyAt = performance.now();
      this.#loading = loading;
    });
    hls.on(Events.LEVEL_UPDATED, () => {
      this.#busyAt = performance.now();
    });
    hls.on(Events.LEVEL_SWITCHING, (_event, { level }) => {
      this.#busyAt = performance.now();
      // hls.js 1.7 guesses times by the playlist it had of this level, wrongly if that was long ago, and then waits for what is
      // there. Without one it goes by the dates of the level that plays.
      const known = hls.levels[level];
      if (known?.details?.live && known.details.age > KNOWN_FOR_S) delete known.details;
      if (this.#meter.canEstimate()) this.#changedAt = this.#busyAt;
    });
    this.#watcher = setInterval(() => {
      this.#watchLoading();
      this.#watchIdle();
    }, WATCH_MS);
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
    const { played, currentTime, paused } = this.#video;
    if (paused || played.length === 0 || currentTime - played.start(played.length - 1) < SETTLED_S) return;
    const now = performance.now();
    const ahead = hls.mainForwardBufferInfo?.len ?? 0;
    const elapsedMs = now - stats.loading.first;
    const expected = Math.max(stats.total, (level.averageBitrate * duration) / 8);
    const rate = tooSlow({ elapsedMs, loaded: stats.loaded, expected, ahead });
    if (rate === null) return;
    this.#loading = null;
    this.#meter.begin(rate);
    this.#meter.came(now, elapsedMs, stats.loaded);
    const next = rescueLevel(frag.level, hls.levels.map(({ maxBitrate }) => maxBitrate), rate, ahead);
    hls.nextAutoLevel = next;
    hls.nextLoadLevel = next;
    frag.abortRequests();
    hls.trigger(Events.FRAG_LOAD_EMERGENCY_ABORTED, { frag, part: part ?? null, stats });
  }

  /** Has hls.js look again at a segment that it takes for complete. */
  #watchIdle(): void {
    const hls = this.#hls;
    const stats = (this.#loading?.part ?? this.#loading?.frag)?.stats;
    const isLoading = stats !== undefined && !stats.aborted && stats.loading.start > 0 && stats.loading.end === 0;
    const details = hls.levels[hls.loadLevel]?.details;
    const buffer = hls.mainForwardBufferInfo;
    if (isLoading || !details?.live || !details.partTarget || !buffer || this.#video.paused) return;
    const now = performance.now();
    if (this.#appendingSince !== null && now - this.#appendingSince < APPENDED_MS) return;
    const available = details.partEnd - buffer.end;
    if (!forgotToLoad({ forMs: now - this.#busyAt, available, part: details.partTarget, ahead: buffer.len })) return;
    this.#busyAt = now;
    for (const fragment of [...details.fragments, details.fragmentHint]) {
      if (fragment && fragment.end > buffer.end && fragment.start <= buffer.end) this.#tracker?.removeFragment(fragment);
    }
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

type Tracker = ConstructorParameters<typeof BufferController>[1];

/** The one that hls.js keeps, which it hands to those of its controllers that may be replaced. */
function tellingOf(hand: (tracker: Tracker) => void): typeof BufferController {
  return class extends BufferController {
    constructor(hls: Hls, tracker: Tracker) {
      super(hls, tracker);
      hand(tracker);
    }
  };
}

/** hls.js picks as ever, by what this meter says, and nothing better unless it may. */
function picking(meter: LineMeter, mayRise: () => boolean): typeof AbrController {
  return class extends AbrController {
    constructor(hls: Hls) {
      super(hls);
      // Its own has private fields, and all that is asked of it is what ours has.
      this.bwEstimator = meter as unknown as AbrController['bwEstimator'];
    }

    override get nextAutoLevel(): number {
      const next = super.nextAutoLevel;
      const { loadLevel } = this.hls;
      return loadLevel >= 0 && next > loadLevel && !mayRise() ? loadLevel : next;
    }

    override set nextAutoLevel(level: number) {
      super.nextAutoLevel = level;
    }

    override resetEstimator(estimate?: number): void {
      if (estimate) meter.begin(estimate);
    }
  };
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
