const CHANNEL_NAME = /^[a-z0-9_]{3,25}$/;

/** Reads a channel name: 3 to 25 of `a-z`, `0-9` and `_`; capitals are forgiven. */
export function parseChannel(text: string | undefined): string | null {
  const name = text?.toLowerCase() ?? '';
  return CHANNEL_NAME.test(name) ? name : null;
}

/** Where the server lists the renditions of a channel. */
export const playbackUrlOf = (channel: string): string => `/live/${channel}/index.m3u8`;
