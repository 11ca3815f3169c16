/**
 * Which broadcast a media file is of, by its name: `{prefix}-s{msn}.m4s`, where the prefix is random per broadcast.
 * `null` for a name that is not of this kind.
 */
export function broadcastOf(url: string): string | null {
  const name = url.split(/[?#]/, 1)[0]?.split('/').at(-1) ?? '';
  return /^(.+)-[sp]\d+\.m4s$/.exec(name)?.[1] ?? null;
}
