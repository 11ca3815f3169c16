import { useEffect } from 'react';
import { useSiteName } from '@/api/site';

/** Names the browser tab after the page and the site. */
export function useTitle(page: string): void {
  const name = useSiteName();
  useEffect(() => {
    document.title = `${page} · ${name}`;
  }, [page, name]);
}
