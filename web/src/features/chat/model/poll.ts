/** The share of `votes` in `all`, in whole percent; 0 of nothing. */
export const share = (votes: number, all: number): number => (all === 0 ? 0 : Math.round((100 * votes) / all));

/** Which answers have the most votes; none before the first vote. */
export function leaders(counts: readonly number[]): readonly number[] {
  const most = Math.max(0, ...counts);
  return most === 0 ? [] : counts.flatMap((count, at) => (count === most ? [at] : []));
}
