import type { Message } from '../engine/protocol';

/** More than this is counted rather than read. */
const READ = 2;

/** What a screen reader says of the messages of the last moments. */
export interface Spoken {
  readonly read: readonly Message[];
  /** How many came beside those that are read. */
  readonly counted: number;
}

/** Reads what names oneself, or few messages; of many only the last. Says nothing of one's own. */
export function spokenOf(messages: readonly Message[], self: string | null): Spoken {
  const others = messages.filter(({ author }) => author === null || author.name !== self);
  const forUs = self === null ? [] : others.filter(({ mentions }) => mentions.includes(self));
  const read = forUs.length > 0 ? forUs.slice(-READ) : others.length <= READ ? others : others.slice(-1);
  return { read, counted: others.length - read.length };
}
