/** A stretch of a message. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  /** `host` is where it really leads, if that is not what stands there. */
  | { readonly kind: 'link'; readonly text: string; readonly href: string; readonly host: string | null }
  | { readonly kind: 'mention'; readonly text: string; readonly name: string };

const LINK_OR_MENTION =
  /([hH][tT][tT][pP][sS]?:\/\/[^\s<>"]+)|(^|[^\p{L}\p{N}_@/.])(@[A-Za-z0-9_]{3,25})(?![A-Za-z0-9_])/gu;
/** What ends a sentence rather than an address. */
const TRAILING = /[.,;:!?'"’”…*~\]}]+$/u;
/** Nobody types these into an address but to make it look like another: bidirectional marks, what has no width. */
const TRICKS = /[\p{Cf}\p{Cc}]/u;

/** Takes a message apart. `mentions` are the login names that the server found; others who are named stay text. */
export function piecesOf(text: string, mentions: readonly string[]): readonly Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  const upTo = (end: number) => {
    if (end > done) pieces.push({ kind: 'text', text: text.slice(done, end) });
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
