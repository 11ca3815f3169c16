/** Which rows of a long list are drawn, and how much room the others take. */
export interface Stretch {
  /** The first row that is drawn. */
  readonly first: number;
  /** One after the last. */
  readonly end: number;
  /** Pixels above the first. */
  readonly before: number;
  /** Pixels below the last. */
  readonly after: number;
}

/** Where rows begin, in pixels from the first; one more than there are rows, the last being the height of all. */
export function offsetsOf(keys: readonly string[], heights: ReadonlyMap<string, number>, estimate: number): Float64Array {
  const offsets = new Float64Array(keys.length + 1);
  keys.forEach((key, index) => {
    offsets[index + 1] = (offsets[index] ?? 0) + (heights.get(key) ?? estimate);
  });
  return offsets;
}

/** The row at `top` pixels; the nearest one where there is none. */
export function rowAt(offsets: Float64Array, top: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= top) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The rows that show between `top` and `top + height`, and `beyond` pixels more on both sides. */
export function stretchOf(offsets: Float64Array, top: number, height: number, beyond: number): Stretch {
  const rows = offsets.length - 1;
  const total = offsets[rows] ?? 0;
  if (rows === 0) return { first: 0, end: 0, before: 0, after: 0 };
  const first = rowAt(offsets, top - beyond);
  const end = rowAt(offsets, top + height + beyond) + 1;
  return { first, end, before: offsets[first] ?? 0, after: total - (offsets[end] ?? total) };
}
