/** By how much a clock-based latency may differ from the playlist-based one before the viewer's clock is distrusted, in seconds. */
const LEAST = -0.3;
const MOST = 3;

/**
 * The latency shown to a person, in seconds.
 *
 * PROGRAM-DATE-TIME says when a picture reached the server, so "now minus that" is the truer number, but only as
 * good as the viewer's clock. It is used while it agrees with the distance from the live edge (`fromEdge`), which
 * needs no clock.
 */
export function latencyShown(fromEdge: number, pictureTime: number | null, now: number): number {
  if (pictureTime === null) return fromEdge;
  const byClock = (now - pictureTime) / 1000;
  const difference = byClock - fromEdge;
  return difference >= LEAST && difference <= MOST ? byClock : fromEdge;
}
