import type { Entry } from '../engine/chat-log';

/** A mention that is being typed. */
export interface Typed {
  /** Where its `@` stands. */
  readonly start: number;
  /** What follows the `@`, in lower case. */
  readonly prefix: string;
}

const MENTION = /(?:^|[^\p{L}\p{N}_@])@([A-Za-z0-9_]{0,25})$/u;
const MOST = 6;

/** The mention that ends at the caret; `null` if there is none. */
export function typedMention(text: string, caret: number): Typed | null {
  const prefix = MENTION.exec(text.slice(0, caret))?.[1];
  return prefix === undefined ? null : { start: caret - prefix.length - 1, prefix: prefix.toLowerCase() };
}

/**
 * Whom it may mean: who spoke last comes first, then who else is here. Nobody where the name is written out already, so
 * that Enter sends.
 */
export function completions(prefix: string, entries: readonly Entry[], here: readonly string[], self: string | null): string[] {
  const names = new Set<string>();
  for (let at = entries.length - 1; at >= 0; at--) {
    const name = entries[at]?.message.author?.name;
    if (name !== undefined) names.add(name);
  }
  for (const name of here) names.add(name);
  if (names.has(prefix)) return [];
  return [...names].filter((name) => name !== self && name.startsWith(prefix)).slice(0, MOST);
}

/** The text with the mention written out, and where the caret stands then. */
export function completed(text: string, caret: number, typed: Typed, name: string): { text: string; caret: number } {
  const before = `${text.slice(0, typed.start)}@${name} `;
  return { text: before + text.slice(caret).replace(/^ /, ''), caret: before.length };
}
