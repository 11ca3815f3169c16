/** A stretch of media time, from and to, in seconds. */
export type Range = readonly [from: number, to: number];

/** Makes a `<video>` of jsdom, which plays nothing, obey the test: what is buffered, and whether `play` is allowed. */
export function fakeVideo(video: HTMLVideoElement = document.createElement('video')) {
  let buffered: readonly Range[] = [];
  let paused = true;
  let allowed: 'sound' | 'muted' | 'nothing' = 'sound';
  const define = (name: string, get: () => unknown) =>
    Object.defineProperty(video, name, { configurable: true, get });
  define('buffered', () => ({
    length: buffered.length,
    start: (index: number) => buffered[index]?.[0] ?? 0,
    end: (index: number) => buffered[index]?.[1] ?? 0,
  }));
  define('paused', () => paused);
  define('readyState', () =>
    buffered.some(([from, to]) => from <= video.currentTime && video.currentTime + 0.05 < to) ? 4 : 1,
  );
  let currentTime = 0;
  Object.defineProperty(video, 'currentTime', {
    configurable: true,
    get: () => currentTime,
    set: (time: number) => {
      currentTime = time;
    },
  });
  video.play = () => {
    if (allowed === 'nothing' || (allowed === 'muted' && !video.muted)) {
      return Promise.reject(new DOMException('not allowed', 'NotAllowedError'));
    }
    paused = false;
    video.dispatchEvent(new Event('play'));
    return Promise.resolve();
  };
  video.pause = () => {
    if (paused) return;
    paused = true;
    video.dispatchEvent(new Event('pause'));
  };
  video.load = () => undefined;
  video.getVideoPlaybackQuality = () =>
    ({ creationTime: 0, totalVideoFrames: 0, droppedVideoFrames: 0 }) as VideoPlaybackQuality;
  return {
    video,
    buffer: (...ranges: readonly Range[]) => {
      buffered = ranges;
    },
    /** What loading other media does: paused, without an event. */
    reset: () => {
      paused = true;
    },
    allow: (what: typeof allowed) => {
      allowed = what;
    },
  };
}
