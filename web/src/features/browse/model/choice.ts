import type { Stream } from '@/api/streams';

/** What of the live channels is shown, and in which order. Kept in the address, so that it can be passed on. */
export interface Choice {
  readonly sort: 'viewers' | 'newest';
  /** Empty for all. */
  readonly category: string;
  readonly language: string;
  readonly tag: string;
}

export function choiceOf(search: URLSearchParams): Choice {
  return {
    sort: search.get('sort') === 'newest' ? 'newest' : 'viewers',
    category: search.get('category') ?? '',
    language: search.get('language') ?? '',
    tag: search.get('tag')?.toLowerCase() ?? '',
  };
}

/** The address of a choice: only what is not as usual. */
export function searchOf(choice: Choice): URLSearchParams {
  const search = new URLSearchParams();
  if (choice.sort !== 'viewers') search.set('sort', choice.sort);
  for (const key of ['category', 'language', 'tag'] as const) if (choice[key] !== '') search.set(key, choice[key]);
  return search;
}

/** The streams that fit. Equals stand by name, so that the list does not jump about. */
export function chosen(streams: readonly Stream[], { sort, category, language, tag }: Choice): Stream[] {
  const before =
    sort === 'newest'
      ? (a: Stream, b: Stream) => Date.parse(b.started_at) - Date.parse(a.started_at)
      : (a: Stream, b: Stream) => b.viewers - a.viewers;
  return streams
    .filter(
      (stream) =>
        (category === '' || stream.category === category) &&
        (language === '' || stream.language === language) &&
        (tag === '' || stream.tags.includes(tag)),
    )
    .sort((a, b) => before(a, b) || a.channel.localeCompare(b.channel));
}

/** Every value of a field that some stream has, in alphabetical order; the chosen one even if none has it now. */
export function valuesOf(streams: readonly Stream[], field: 'category' | 'language', now: string): string[] {
  const values = new Set(streams.map((stream) => stream[field]));
  values.add(now);
  values.delete('');
  return [...values].sort((a, b) => a.localeCompare(b));
}
