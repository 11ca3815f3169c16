import { useEffect, useState } from 'react';

/**
 * The secret after `#` in a link that was mailed or printed: browsers never send that part to a server. It is taken out
 * of the address, so that it stays neither in the history nor on the screen.
 */
export function useFragmentToken(): string {
  const [token] = useState(() => decoded(window.location.hash.slice(1)));
  useEffect(() => {
    if (window.location.hash === '') return;
    window.history.replaceState(window.history.state, '', window.location.pathname + window.location.search);
  }, []);
  return token;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
