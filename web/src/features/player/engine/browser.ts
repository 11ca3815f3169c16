import { readSettings, writeSettings } from '@/lib/settings';
import { HlsSource } from './hls-source';
import { NativeSource } from './native-source';
import { probe } from './probe';
import type { PlayerDeps } from './player';
import { firstEstimate } from './wish';

/** iPhones and iPads; an iPad calls itself a Mac but has fingers on it. */
function isAppleMobile(): boolean {
  return /iPhone|iPad|iPod/.test(navigator.userAgent) ||
    (navigator.userAgent.includes('Macintosh') && navigator.maxTouchPoints > 1);
}

/** What the browser tells of the line: not all of them do (Network Information API). */
function connection(): { readonly saveData?: boolean; readonly downlink?: number } {
  return 'connection' in navigator ? (navigator.connection as object) : {};
}

/** The player's surroundings in a real browser: hls.js where it runs, else the browser's own HLS. */
export function browserDeps(): PlayerDeps {
  return {
    createSource: (video, options) => {
      if (HlsSource.isSupported()) {
        const { saveData = false, downlink } = connection();
        const estimate = firstEstimate(readSettings().bandwidth, downlink);
        const source = new HlsSource(video, { ...options, saveData, estimate });
        source.events.on('measured', (bandwidth) => writeSettings({ bandwidth }));
        return source;
      }
      if (video.canPlayType('application/vnd.apple.mpegurl') !== '') return new NativeSource(video);
      return null;
    },
    probe,
    now: () => performance.now(),
    random: () => Math.random(),
    canChangeRate: !isAppleMobile(),
  };
}
