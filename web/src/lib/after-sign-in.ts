/** Where to go after signing in: a path of this site, or the front page. Addresses of other sites are not followed. */
export function pathAfterSignIn(next: string | null): string {
  if (next === null || !next.startsWith('/')) return '/';
  const target = new URL(next, window.location.origin);
  return target.origin === window.location.origin && !next.startsWith('//') && !next.includes('\\')
    ? target.pathname + target.search
    : '/';
}
