import { HlsSource } from './hls-source';
import { NativeSource } from './native-source';
import { probe } from './probe';
import type { PlayerDeps } from './player';

/** iPhones and iPads; an iPad calls itself a Mac but has fingers on it. */
function isAppleMobile(): boolean {
  return /iPhone|iPad|iPod/.test(navigator.userAgent) ||
    (navigator.userAgent.includes('Macintosh') && navigator.maxTouchPoints > 1);
}

/** The player's surroundings in a real browser: hls.js where it runs, else the browser's own HLS. */
export function browserDeps(): PlayerDeps {
  return {
    createSource: (video, options) => {
      if (HlsSource.isSupported()) return new HlsSource(video, options);
      if (video.canPlayType('application/vnd.apple.mpegurl') !== '') return new NativeSource(video);
      return null;
    },
    probe,
    now: () => performance.now(),
    random: () => Math.random(),
    canChangeRate: !isAppleMobile(),
  };
}
