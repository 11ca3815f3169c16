import { useCallback, useEffect, useLayoutEffect, useReducer, useRef, useState, type RefObject } from 'react';
import { offsetsOf, rowAt, stretchOf, type Stretch } from '../model/stretch';

/** What a row is taken for until it was measured, in pixels. */
const ESTIMATE = 30;
/** Drawn beyond what shows, on both sides. */
const BEYOND = 400;
/** Rows that are drawn where there is no height to go by, as before the first layout. */
const UNMEASURED = 80;
/** So near to the end counts as the end. */
const NEAR = 30;
/** So near to the beginning, older rows are wanted. */
const TOP = 300;

interface Used extends Stretch {
  /** Whether the newest row is in sight. */
  readonly following: boolean;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly list: RefObject<HTMLOListElement | null>;
  readonly onScroll: () => void;
  readonly toEnd: () => void;
}

interface Wants {
  /** The newest row came into sight, or went out of it. */
  readonly onFollow: (following: boolean) => void;
  /** The oldest row is near. */
  readonly onTop: () => void;
}

interface Place {
  readonly top: number;
  readonly height: number;
}

/** The same object if nothing moved, so that nothing is drawn again. */
function moved(before: Place, change: Partial<Place>): Place {
  const after = { ...before, ...change };
  return after.top === before.top && after.height === before.height ? before : after;
}

/**
 * Draws only the rows of a long list that show. Stays at the end while it is there; elsewhere what one reads stays
 * where it is, whatever is added or taken away above and below.
 *
 * The rows are the children of `list`, which has `before` and `after` as its padding; each has its key in `data-key`.
 */
export function useStretch(keys: readonly string[], { onFollow, onTop }: Wants): Used {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const [heights] = useState(() => new Map<string, number>());
  /** The row at the top of what shows, and how far it is scrolled out. */
  const anchor = useRef<{ key: string; by: number } | null>(null);
  const [place, putPlace] = useReducer(moved, { top: 0, height: 0 });
  const [following, setFollowing] = useState(true);
  const [, measureAgain] = useReducer((n: number) => n + 1, 0);

  const offsets = offsetsOf(keys, heights, ESTIMATE);
  const total = offsets[keys.length] ?? 0;
  const top = following ? Math.max(0, total - place.height) : place.top;
  const stretch =
    place.height > 0
      ? stretchOf(offsets, top, place.height, BEYOND)
      : {
          first: Math.max(0, keys.length - UNMEASURED),
          end: keys.length,
          before: offsets[Math.max(0, keys.length - UNMEASURED)] ?? 0,
          after: 0,
        };

  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    const left = element.scrollHeight - element.scrollTop - element.clientHeight;
    const base = list.current?.offsetTop ?? 0;
    const at = Math.max(0, element.scrollTop - base);
    const now = offsetsOf(keys, heights, ESTIMATE);
    const index = rowAt(now, at);
    const key = keys[index];
    anchor.current = key === undefined ? null : { key, by: at - (now[index] ?? 0) };
    putPlace({ top: at, height: element.clientHeight });
    setFollowing(left < NEAR);
    onFollow(left < NEAR);
    if (element.scrollTop < TOP && left >= NEAR) onTop();
  }, [keys, heights, onFollow, onTop]);

  // After every drawing: what was drawn is measured, and what one looks at is put where it was.
  useLayoutEffect(() => {
    const element = scroller.current;
    const rows = list.current;
    if (element === null || rows === null) return;
    let changed = false;
    for (const row of rows.children) {
      const key = row instanceof HTMLElement ? row.dataset.key : undefined;
      if (key === undefined) continue;
      const { height } = row.getBoundingClientRect();
      if (height > 0 && Math.abs((heights.get(key) ?? -1) - height) > 0.5) {
        heights.set(key, height);
        changed = true;
      }
    }
    putPlace({ height: element.clientHeight });
    if (changed) measureAgain();
    if (following) {
      element.scrollTop = element.scrollHeight;
      return;
    }
    const held = anchor.current;
    const index = held === null ? -1 : keys.indexOf(held.key);
    if (held === null || index < 0) return;
    const now = offsetsOf(keys, heights, ESTIMATE);
    const wanted = rows.offsetTop + (now[index] ?? 0) + held.by;
    if (Math.abs(element.scrollTop - wanted) > 1) element.scrollTop = wanted;
  });

  // Fonts that load, pictures, a narrower window: heights change without a drawing.
  useEffect(() => {
    if (typeof ResizeObserver === 'undefined' || scroller.current === null || list.current === null) return;
    const observer = new ResizeObserver(() => measureAgain());
    observer.observe(scroller.current);
    observer.observe(list.current);
    return () => observer.disconnect();
  }, []);

  const toEnd = useCallback(() => {
    setFollowing(true);
    onFollow(true);
  }, [onFollow]);

  return { ...stretch, following, scroller, list, onScroll, toEnd };
}
