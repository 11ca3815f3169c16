import { NO_EMOTES, type RoomEmotes } from './emotes';

/** A stretch of a message. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  /** `host` is where it really leads, if that is not what stands there. */
  | { readonly kind: 'link'; readonly text: string; readonly href: string; readonly host: string | null }
  | { readonly kind: 'mention'; readonly text: string; readonly name: string }
  | { readonly kind: 'emote'; readonly text: string; readonly name: string; readonly url: string };

const LINK_OR_MENTION =
  /([hH][tT][tT][pP][sS]?:\/\/[^\s<>"]+)|(^|[^\p{L}\p{N}_@/.])(@[A-Za-z0-9_]{3,25})(?![A-Za-z0-9_])/gu;
/** What ends a sentence rather than an address. */
const TRAILING = /[.,;:!?'"’”…*~\]}]+$/u;
/** Nobody types these into an address but to make it look like another: bidirectional marks, what has no width. */
const TRICKS = /[\p{Cf}\p{Cc}]/u;

/**
 * Takes a message apart. `mentions` are the login names that the server found; others who are named stay text, and so do
 * emotes that the room does not have.
 */
export function piecesOf(text: string, mentions: readonly string[], emotes: RoomEmotes = NO_EMOTES): readonly Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  const upTo = (end: number) => {
    if (end > done) pieces.push(...withEmotes(text.slice(done, end), emotes));
  };
  for (const found of text.matchAll(LINK_OR_MENTION)) {
    const [, address, before = '', mention = ''] = found;
    const piece = address === undefined ? mentionOf(mention, mentions) : linkOf(address);
    if (piece === null) continue;
    const start = found.index + before.length;
    upTo(start);
    pieces.push(piece);
    done = start + piece.text.length;
  }
  upTo(text.length);
  return pieces;
}

const EMOTE = /:([A-Za-z0-9_]{2,32}):/g;

function withEmotes(text: string, emotes: RoomEmotes): readonly Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  if (emotes.size > 0) {
    EMOTE.lastIndex = 0;
    for (let found = EMOTE.exec(text); found !== null; found = EMOTE.exec(text)) {
      const [written, name = ''] = found;
      const emote = emotes.get(name);
      if (emote === undefined) {
        // Its second colon may be the first of another.
        EMOTE.lastIndex -= 1;
        continue;
      }
      if (found.index > done) pieces.push({ kind: 'text', text: text.slice(done, found.index) });
      pieces.push({ kind: 'emote', text: written, name, url: emote.url });
      done = EMOTE.lastIndex;
    }
  }
  if (done < text.length) pieces.push({ kind: 'text', text: text.slice(done) });
  return pieces;
}

function mentionOf(text: string, mentions: readonly string[]): Piece | null {
  const named = text.slice(1).toLowerCase();
  return mentions.some((mention) => mention.toLowerCase() === named) ? { kind: 'mention', text, name: named } : null;
}

function linkOf(found: string): Piece | null {
  const text = withoutTail(found);
  if (TRICKS.test(text)) return null;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  // `https://bank.example@evil.example/` reads like one and leads to the other.
  if (url.username !== '' || url.password !== '' || !url.hostname.includes('.')) return null;
  const written = /^https?:\/\/([^/?#]*)/i.exec(text)?.[1]?.toLowerCase() ?? '';
  const port = /:\d+$/;
  const honest = written.replace(port, '') === url.hostname;
  return { kind: 'link', text, href: url.href, host: honest ? null : url.hostname };
}

/** Without what belongs to the sentence; a bracket only where it was opened outside. */
function withoutTail(found: string): string {
  let text = found.replace(TRAILING, '');
  while (text.endsWith(')') && text.split(')').length > text.split('(').length) {
    text = text.slice(0, -1).replace(TRAILING, '');
  }
  return text;
}
