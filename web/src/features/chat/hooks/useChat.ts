import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useState, useSyncExternalStore } from 'react';
import { me } from '@/api/me';
import { history } from '../api/chat';
import { browserDeps } from '../engine/browser';
import { Chat, type ChatView } from '../engine/chat';

/** Runs the chat of a channel while the component is mounted. Another channel needs another component (`key`). */
export function useChat(channel: string): readonly [Chat, ChatView] {
  const queries = useQueryClient();
  const [chat] = useState(
    () => new Chat({ ...browserDeps(channel), history: (before) => history(channel, before) }),
  );

  useEffect(() => {
    const nudge = () => chat.nudge();
    const visible = () => {
      if (!document.hidden) chat.nudge();
    };
    const offEnded = chat.events.on('sessionEnded', () => void queries.invalidateQueries({ queryKey: me().queryKey }));
    window.addEventListener('online', nudge);
    window.addEventListener('pageshow', nudge);
    document.addEventListener('visibilitychange', visible);
    chat.start();
    return () => {
      offEnded();
      window.removeEventListener('online', nudge);
      window.removeEventListener('pageshow', nudge);
      document.removeEventListener('visibilitychange', visible);
      chat.stop();
    };
  }, [chat, queries]);

  const subscribe = useCallback((changed: () => void) => chat.events.on('view', changed), [chat]);
  const view = useSyncExternalStore(subscribe, () => chat.view);
  return [chat, view];
}
