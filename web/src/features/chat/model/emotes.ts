import type { Emote } from '../api/emotes';

/** The emotes of a room by their names. */
export type RoomEmotes = ReadonlyMap<string, Emote>;

export const NO_EMOTES: RoomEmotes = new Map();

/** By name; the channel's own hold before those of the site. */
export function byName(channel: readonly Emote[], site: readonly Emote[]): RoomEmotes {
  return new Map([...site, ...channel].map((emote) => [emote.name, emote]));
}

/** An emote that is being typed: where its `:` stands, and what follows it. */
export interface TypedEmote {
  readonly start: number;
  readonly prefix: string;
}

/** What can be put in the place of a typed name. */
export interface Offered {
  readonly name: string;
  /** What is written. */
  readonly text: string;
  /** The picture, if it is one of the room's. */
  readonly url: string | null;
}

const TYPED = /(?:^|[^A-Za-z0-9_:]):([A-Za-z0-9_]{2,32})$/u;
const MOST = 6;

/** The emote that ends at the caret; `null` if there is none. It takes two letters: `:D` is no emote. */
export function typedEmote(text: string, caret: number): TypedEmote | null {
  const prefix = TYPED.exec(text.slice(0, caret))?.[1];
  return prefix === undefined ? null : { start: caret - prefix.length - 1, prefix };
}

/** Which it may be: those of the room first, names that begin so before those that have it inside. */
export function offeredFor(prefix: string, emotes: RoomEmotes): readonly Offered[] {
  const wanted = prefix.toLowerCase();
  const own: Offered[] = [...emotes.values()].map(({ name, url }) => ({ name, text: `:${name}:`, url }));
  const all = [...own, ...UNICODE.map(([text, name]) => ({ name, text, url: null }))];
  const at = ({ name }: Offered) => name.toLowerCase().indexOf(wanted);
  return [...all.filter((one) => at(one) === 0), ...all.filter((one) => at(one) > 0)].slice(0, MOST);
}

/** The text with the emote written out, and where the caret stands then. */
export function withEmote(text: string, from: number, to: number, written: string): { text: string; caret: number } {
  const before = text.slice(0, from);
  const gap = before === '' || /\s$/u.test(before) ? '' : ' ';
  const start = `${before}${gap}${written} `;
  return { text: start + text.slice(to).replace(/^ /u, ''), caret: start.length };
}

/** Pictures of Unicode that people in chats use, with the names by which they are found. */
export const UNICODE: readonly (readonly [string, string])[] = [
  ['😀', 'grin'], ['😂', 'joy'], ['🤣', 'rofl'], ['😊', 'smile'], ['😉', 'wink'], ['😍', 'heart_eyes'],
  ['😘', 'kiss'], ['😎', 'sunglasses'], ['🤔', 'thinking'], ['😐', 'neutral'], ['🙄', 'eye_roll'], ['😏', 'smirk'],
  ['😴', 'sleeping'], ['😢', 'cry'], ['😭', 'sob'], ['😡', 'angry'], ['🤯', 'mind_blown'], ['😱', 'scream'],
  ['😅', 'sweat_smile'], ['🥳', 'party_face'], ['🤡', 'clown'], ['💀', 'skull'], ['👻', 'ghost'], ['🤖', 'robot'],
  ['👍', 'thumbs_up'], ['👎', 'thumbs_down'], ['👏', 'clap'], ['🙌', 'raised_hands'], ['🙏', 'pray'], ['💪', 'muscle'],
  ['👋', 'wave'], ['👀', 'eyes'], ['🫡', 'salute'], ['🤝', 'handshake'], ['✌️', 'victory'], ['🤞', 'fingers_crossed'],
  ['❤️', 'heart'], ['💔', 'broken_heart'], ['🔥', 'fire'], ['✨', 'sparkles'], ['⭐', 'star'], ['💯', 'hundred'],
  ['🎉', 'tada'], ['🎂', 'cake'], ['🏆', 'trophy'], ['🎮', 'game'], ['🎵', 'music'], ['🎸', 'guitar'],
  ['☕', 'coffee'], ['🍕', 'pizza'], ['🍿', 'popcorn'], ['🍺', 'beer'], ['🐱', 'cat'], ['🐶', 'dog'],
  ['🦊', 'fox'], ['🐸', 'frog'], ['🦆', 'duck'], ['🐙', 'octopus'], ['🌊', 'ocean'], ['⛵', 'sailboat'],
  ['🚀', 'rocket'], ['🌙', 'moon'], ['☀️', 'sun'], ['🌈', 'rainbow'], ['❓', 'question'], ['❗', 'exclamation'],
];
