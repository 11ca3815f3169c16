/** What the server says about a channel. */
export type Probe = 'live' | 'offline' | 'unreachable';

const PATIENCE_MS = 5_000;

/** Asks whether the playlist at `url` exists, without playing it. */
export async function probe(url: string, signal: AbortSignal): Promise<Probe> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    });
    await response.text();
    if (response.ok) return 'live';
    return response.status === 404 ? 'offline' : 'unreachable';
  } catch {
    return 'unreachable';
  }
}
