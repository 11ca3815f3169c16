/** Why nothing plays, for the person to read. */
export type PlayerProblem =
  /** The server cannot be reached; the player keeps trying. */
  | 'unreachable'
  /** The picture or sound cannot be decoded, and trying again did not help. */
  | 'undecodable'
  /** This browser cannot play this broadcast at all. */
  | 'unsupported';

export type PlayerState =
  /** The channel is not live; playback starts by itself when it is. */
  | { readonly kind: 'offline' }
  | { readonly kind: 'loading' }
  | { readonly kind: 'playing' }
  | { readonly kind: 'buffering' }
  /** The publisher dropped and may come back within the reconnect window. */
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'paused' }
  /** `fatal`: the player has given up and waits for {@link Player.retry}. */
  | { readonly kind: 'error'; readonly problem: PlayerProblem; readonly fatal: boolean };

export type Phase =
  | { readonly kind: 'offline' }
  /** A source is loaded or being loaded. */
  | { readonly kind: 'attached' }
  /** The source lost the server; what is buffered still plays. */
  | { readonly kind: 'reconnecting' }
  | { readonly kind: 'failed'; readonly problem: PlayerProblem };

/** What the state is made of. */
export interface Facts {
  readonly phase: Phase;
  /** The person wants it to play. */
  readonly wantsPlay: boolean;
  /** The element has media for the playhead and beyond. */
  readonly hasMedia: boolean;
  /** Something of this broadcast was played already. */
  readonly hasPlayed: boolean;
  /** The newest media of the playlist is a gap. */
  readonly gap: boolean;
}

export function stateOf({ phase, wantsPlay, hasMedia, hasPlayed, gap }: Facts): PlayerState {
  switch (phase.kind) {
    case 'offline':
      return { kind: 'offline' };
    case 'failed':
      return { kind: 'error', problem: phase.problem, fatal: true };
    case 'reconnecting':
      if (!hasMedia) return { kind: 'error', problem: 'unreachable', fatal: false };
      return { kind: wantsPlay ? 'playing' : 'paused' };
    case 'attached':
      if (!wantsPlay) return { kind: 'paused' };
      if (hasMedia) return { kind: 'playing' };
      if (gap) return { kind: 'interrupted' };
      return { kind: hasPlayed ? 'buffering' : 'loading' };
  }
}
