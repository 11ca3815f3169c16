import { aheadOf, spansOf } from '@/lib/ranges';

/** What the media element tells about itself at one moment. */
export interface Measured {
  readonly at: number;
  readonly width: number;
  readonly height: number;
  /** Pictures shown, and thrown away, since the start. */
  readonly frames: number;
  readonly dropped: number;
  /** Pictures per second since the last measurement; `null` at the first. */
  readonly framesPerSecond: number | null;
  /** Seconds buffered ahead of the playhead. */
  readonly buffer: number;
  readonly rate: number;
}

type Video = Pick<
  HTMLVideoElement,
  'videoWidth' | 'videoHeight' | 'buffered' | 'currentTime' | 'playbackRate' | 'getVideoPlaybackQuality'
>;

/** Measures `video`; `last` is the measurement before this one, `now` a monotonic clock in milliseconds. */
export function measure(video: Video, last: Measured | null, now: number): Measured {
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  const elapsed = last === null ? 0 : (now - last.at) / 1000;
  // Counts start over with each broadcast.
  const shown = last === null ? -1 : totalVideoFrames - last.frames;
  const rate = elapsed > 0 && shown >= 0 ? shown / elapsed : null;
  const smoothed = rate !== null && last?.framesPerSecond ? last.framesPerSecond * 0.7 + rate * 0.3 : rate;
  return {
    at: now,
    width: video.videoWidth,
    height: video.videoHeight,
    frames: totalVideoFrames,
    dropped: droppedVideoFrames,
    framesPerSecond: smoothed,
    buffer: aheadOf(spansOf(video.buffered), video.currentTime),
    rate: video.playbackRate,
  };
}
