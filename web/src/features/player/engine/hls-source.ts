import Hls, { ErrorDetails, ErrorTypes, Events } from 'hls.js';
import type { ErrorData, HlsConfig, LevelParsed } from 'hls.js';
import workerPath from 'hls.js/dist/hls.worker.js?url';
import { Emitter } from '@/lib/emitter';
import { broadcastOf } from './broadcast';
import type { Position, Quality, QualityId, Source, SourceEvents, SourceFailure, SourceOptions } from './source';
import { endOfGap, endsInGap } from './timeline';

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
  // Best quality first; the estimate corrects itself within seconds.
  abrEwmaDefaultEstimate: 8_000_000,
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
  /** A live playlist was seen. */
  #live = false;
  #broadcast: string | null = null;
  #recoveries = 0;

  static isSupported(): boolean {
    return Hls.isSupported();
  }

  constructor(video: HTMLVideoElement, { audioOnly, address }: SourceOptions) {
    this.#video = video;
    this.#audioOnly = audioOnly;
    const hls = new Hls({ ...CONFIG, xhrSetup: (xhr, url) => open(xhr, address(url)) });
    this.#hls = hls;
    hls.on(Events.MANIFEST_LOADED, (_event, { levels }) => this.#handleManifest(levels));
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
    this.#hls.nextLevel = id === 'auto' ? -1 : id;
    return true;
  }

  recover(): boolean {
    this.#recoveries += 1;
    if (this.#recoveries > 2) return false;
    this.#hls.recoverMediaError();
    return true;
  }

  destroy(): void {
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

  /**
   * hls.js would splice the next broadcast into the timeline of the last one by guesses about the time between them;
   * they have nothing in common but the address.
   */
  #handleBroadcast(broadcast: string | null): void {
    if (broadcast === null) return;
    if (this.#broadcast !== null && broadcast !== this.#broadcast) this.events.emit('replaced', null);
    this.#broadcast = broadcast;
  }

  /** Levels as hls.js will number them: those with a picture if there is one, by rising bitrate. */
  #qualities(): readonly Quality[] {
    const pictures = this.#variants.filter(hasPicture).sort((a, b) => a.bitrate - b.bitrate);
    const best = pictures.length - 1;
    const choices = pictures.map((level, id): Quality => {
      const frameRate = Number(level.attrs['FRAME-RATE']);
      return {
        id,
        height: level.height || null,
        frameRate: Number.isFinite(frameRate) && frameRate > 0 ? frameRate : null,
        source: id === best,
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

function failureOf(error: ErrorData): SourceFailure {
  const detail = `${error.details}: ${error.reason ?? error.error.message}`;
  const status = error.response?.code;
  if (error.details === ErrorDetails.MANIFEST_LOAD_ERROR && status === 404) return { kind: 'offline' };
  if (error.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) return { kind: 'unsupported', detail };
  const kind = error.type === ErrorTypes.NETWORK_ERROR ? 'network' : 'media';
  return { kind, detail };
}
