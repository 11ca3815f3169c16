import { call } from '@/api/call';
import { csrfToken } from '@/api/session';
import type { Socket } from './chat-connection';
import { SUBPROTOCOL } from './protocol';
import type { ChatDeps } from './chat';

/** How often hidden pages take note of what was said. */
const HIDDEN_MS = 250;

/** The chat's surroundings in a real browser, but for its history. */
export function browserDeps(channel: string): Omit<ChatDeps, 'history'> {
  return {
    clock: {
      now: () => Date.now(),
      after: (ms, work) => {
        const timer = setTimeout(work, ms);
        return () => clearTimeout(timer);
      },
    },
    random: () => Math.random(),
    open: () => socketTo(channel),
    prepare: renewSession,
    nonce: madeUpNonce,
    soon: (work) => {
      // Nothing is drawn while the page is hidden, and nobody calls back before a picture.
      if (document.hidden) setTimeout(work, HIDDEN_MS);
      else requestAnimationFrame(work);
    },
  };
}

function socketTo(channel: string): Socket {
  const url = new URL(`/chat/v1/${encodeURIComponent(channel)}`, window.location.origin);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, SUBPROTOCOL);
  const ours: Socket = {
    onopen: null,
    onmessage: null,
    onclose: null,
    send: (text) => socket.send(text),
    close: () => socket.close(),
  };
  socket.onopen = () => ours.onopen?.();
  socket.onmessage = ({ data }: MessageEvent<unknown>) => ours.onmessage?.({ data });
  socket.onclose = ({ code, reason }) => ours.onclose?.({ code, reason });
  return ours;
}

/** A socket cannot renew the session as a request does, so one goes ahead; who is not signed in needs none. */
async function renewSession(): Promise<void> {
  if (csrfToken() !== null) await call('GET', '/api/v1/me');
}

/** 128 random bits in hexadecimal. */
function madeUpNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
