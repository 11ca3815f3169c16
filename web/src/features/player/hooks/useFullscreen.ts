import { useCallback, useSyncExternalStore } from 'react';

/** iPhones can only show the video element itself full screen. */
interface AppleVideo extends HTMLVideoElement {
  webkitEnterFullscreen?: () => void;
}

function subscribe(changed: () => void) {
  document.addEventListener('fullscreenchange', changed);
  return () => document.removeEventListener('fullscreenchange', changed);
}

/** Whether `frame` fills the screen, and how to change that; `toggle` is `null` where it cannot. */
export function useFullscreen(frame: HTMLElement | null, video: HTMLVideoElement | null) {
  const active = useSyncExternalStore(subscribe, () => frame !== null && document.fullscreenElement === frame);
  const apple: AppleVideo | null = video;
  const possible = document.fullscreenEnabled || typeof apple?.webkitEnterFullscreen === 'function';
  const toggle = useCallback(() => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    else if (document.fullscreenEnabled) frame?.requestFullscreen().catch(() => undefined);
    else apple?.webkitEnterFullscreen?.();
  }, [frame, apple]);
  return { active, toggle: possible ? toggle : null };
}
