import { Emitter } from '@/lib/emitter';
import type { Position, Source, SourceEvents } from './source';

/** Apple's players keep about this far from the edge by themselves, in seconds; the element does not tell. */
const ASSUMED_HOLD_BACK = 2;

/**
 * Plays by the browser's own HLS, for Apple devices without Media Source Extensions.
 *
 * Such a browser chooses qualities, low latency and retries by itself; the seekable range is all it tells.
 */
export class NativeSource implements Source {
  readonly name = 'native';
  readonly events = new Emitter<SourceEvents>();
  readonly #video: HTMLVideoElement;
  readonly #aborter = new AbortController();

  constructor(video: HTMLVideoElement) {
    this.#video = video;
    const { signal } = this.#aborter;
    video.addEventListener('ended', () => this.events.emit('ended', null), { signal });
    video.addEventListener('waiting', () => this.events.emit('stalled', null), { signal });
    video.addEventListener('error', () => this.#fail(), { signal });
  }

  load(url: string): void {
    this.#video.src = url;
    this.#video.load();
    this.events.emit('qualities', []);
  }

  position(): Position | null {
    const { seekable, currentTime } = this.#video;
    if (seekable.length === 0) return null;
    const start = startDateOf(this.#video);
    return {
      edge: seekable.end(seekable.length - 1),
      holdBack: ASSUMED_HOLD_BACK,
      pictureTime: start === null ? null : start + currentTime * 1000,
      live: !Number.isFinite(this.#video.duration),
      gap: false,
      resumeAt: null,
    };
  }

  quality() {
    return { chosen: 'auto', playing: null } as const;
  }

  chooseQuality(): boolean {
    return false;
  }

  recover(): boolean {
    return false;
  }

  destroy(): void {
    this.#aborter.abort();
    this.events.clear();
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  #fail(): void {
    const error = this.#video.error;
    const detail = error?.message ?? 'unknown';
    // The element cannot tell a missing playlist from a broken one; the player asks the server.
    const network = error?.code === 2 || error?.code === 4;
    this.events.emit('failed', { kind: network ? 'network' : 'media', detail });
  }
}

/** `getStartDate` exists in WebKit only: PROGRAM-DATE-TIME of media time 0. */
function startDateOf(video: HTMLVideoElement): number | null {
  const time = (video as { getStartDate?: () => Date }).getStartDate?.().getTime();
  return time === undefined || Number.isNaN(time) ? null : time;
}
