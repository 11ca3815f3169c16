import type { Emitter } from '@/lib/emitter';
import type { Wish } from './wish';

/** Why a source gave up. The player decides what to do next. */
export type SourceFailure =
  /** The channel is not live (404). */
  | { readonly kind: 'offline' }
  /** The server cannot be reached, or answers with errors. */
  | { readonly kind: 'network'; readonly detail: string }
  /** The browser could not decode or buffer what came. */
  | { readonly kind: 'media'; readonly detail: string }
  /** This browser will never play this broadcast. */
  | { readonly kind: 'unsupported'; readonly detail: string };

/** A choice in the quality menu. `id` is only meaningful to the source that made it. */
export interface Quality {
  readonly id: number | 'auto' | 'audio';
  readonly height: number | null;
  readonly frameRate: number | null;
  /** The picture as the streamer sent it. */
  readonly source: boolean;
}

export type QualityId = Quality['id'];

/** Where the stream is, at one moment. Seconds of the media timeline. */
export interface Position {
  /** The live edge now, advanced by the age of the playlist. */
  readonly edge: number;
  /** How far from the edge the stream asks players to be. */
  readonly holdBack: number;
  /** When the picture at the playhead reached the server, as Unix milliseconds. */
  readonly pictureTime: number | null;
  /** The playlist goes on; otherwise the broadcast has ended. */
  readonly live: boolean;
  /** The newest media is a gap: the publisher is away. */
  readonly gap: boolean;
  /** If the playhead waits in a gap that is over: where media goes on. */
  readonly resumeAt: number | null;
}

export interface SourceEvents {
  /** The list of qualities is known or has changed. */
  qualities: readonly Quality[];
  /** Bits per second that the line carries, by what came; every few seconds. */
  measured: number;
  /** Playback ran dry. */
  stalled: null;
  /** The broadcast has ended and everything of it was played. */
  ended: null;
  /** Another broadcast has taken this one's place, without an end in between: its server is gone. */
  replaced: null;
  failed: SourceFailure;
}

/** What a source is made for. */
export interface SourceOptions {
  /** Plays the audio rendition in place of the whole, once its address is known. */
  readonly audioOnly: boolean;
  /** The picture to begin with, and to stay with unless it is `auto`. */
  readonly wish: Wish;
  /** The address to fetch in place of one of the playlist; it may change at any time. */
  readonly address: (url: string) => string;
}

/** A way to play a live playlist in a media element: hls.js, or the browser itself. */
export interface Source {
  readonly name: 'hls.js' | 'native';
  readonly events: Emitter<SourceEvents>;
  /** Starts loading; to be called once. */
  load(url: string): void;
  /** `null` until something of the stream is known. */
  position(): Position | null;
  quality(): { readonly chosen: QualityId; readonly playing: QualityId | null };
  /** Answers whether the source did it; otherwise it has to be loaded anew. */
  chooseQuality(id: QualityId): boolean;
  /** Tries to go on after a `media` failure without loading anew; answers whether it could. */
  recover(): boolean;
  destroy(): void;
}
