import { useEffect, useRef, useState } from 'react';
import { t } from '@/text/t';
import type { Chat } from '../engine/chat';
import type { Message } from '../engine/protocol';
import { spokenOf } from '../model/announce';

/** Between two announcements, so that a busy room does not talk without end. */
const EVERY_MS = 4_000;
/** What is waited for to be said together. */
const GATHER_MS = 400;

interface Props {
  readonly chat: Chat;
  readonly self: string | null;
}

/** Reads new messages to screen readers, a few at a time. The log itself is silent: its rows come and go as it scrolls. */
export function Announcer({ chat, self }: Props) {
  const [said, setSaid] = useState('');
  const last = useRef(0);

  useEffect(() => {
    let waiting: Message[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const speak = () => {
      timer = undefined;
      last.current = Date.now();
      const { read, counted } = spokenOf(waiting, self);
      waiting = [];
      if (read.length > 0) setSaid(sentenceOf(read, counted));
    };
    const off = chat.events.on('news', (news) => {
      waiting.push(...news);
      timer ??= setTimeout(speak, Math.max(GATHER_MS, last.current + EVERY_MS - Date.now()));
    });
    return () => {
      off();
      clearTimeout(timer);
    };
  }, [chat, self]);

  return (
    <div className="visually-hidden" aria-live="polite" data-testid="chat-announcer">
      {said}
    </div>
  );
}

function sentenceOf(read: readonly Message[], counted: number): string {
  const lines = read.map(({ author, text }) =>
    author === null ? text : t('chat.announced', { name: author.display_name, text }),
  );
  if (counted > 0) lines.push(t('chat.announced.more', { count: counted }));
  return lines.join('. ');
}
