import { useCallback, useState } from 'react';

/** What one has begun to write in a channel; it survives a closed panel and a page that is loaded again. */
export function useDraft(channel: string): readonly [string, (text: string) => void] {
  const key = `millrace.chat.draft.${channel}`;
  const [draft, setDraft] = useState(() => read(key));
  const change = useCallback(
    (text: string) => {
      setDraft(text);
      try {
        if (text === '') sessionStorage.removeItem(key);
        else sessionStorage.setItem(key, text);
      } catch {
        // Without storage it lasts as long as the page.
      }
    },
    [key],
  );
  return [draft, change];
}

function read(key: string): string {
  try {
    return sessionStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}
