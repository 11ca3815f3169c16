const TOKEN = /^\/t\/[^/]+(?=\/live\/)/;

/**
 * The address to fetch in place of `url`: the same media, with the playback token of `current` in front.
 *
 * Where not everybody may watch, addresses work for some minutes only; what was resolved against an older playlist
 * goes on under the newest token. Addresses of other servers stay as they are.
 */
export function readdressed(url: string, current: string): string {
  const token = TOKEN.exec(new URL(current, location.href).pathname)?.[0];
  if (token === undefined) return url;
  const asked = new URL(url, location.href);
  if (asked.origin !== location.origin) return url;
  const path = asked.pathname.replace(TOKEN, '');
  if (!path.startsWith('/live/')) return url;
  asked.pathname = token + path;
  return asked.href;
}
