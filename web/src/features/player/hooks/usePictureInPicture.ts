import { useCallback, useEffect, useState } from 'react';

/** Whether `video` floats in its own window, and how to change that; `toggle` is `null` where it cannot. */
export function usePictureInPicture(video: HTMLVideoElement | null) {
  const [active, setActive] = useState(false);
  useEffect(() => {
    if (video === null) return;
    const entered = () => setActive(true);
    const left = () => setActive(false);
    video.addEventListener('enterpictureinpicture', entered);
    video.addEventListener('leavepictureinpicture', left);
    return () => {
      video.removeEventListener('enterpictureinpicture', entered);
      video.removeEventListener('leavepictureinpicture', left);
    };
  }, [video]);
  const toggle = useCallback(() => {
    if (document.pictureInPictureElement) void document.exitPictureInPicture();
    // Refused before the first picture and for sound alone; there is nothing to float then.
    else video?.requestPictureInPicture().catch(() => undefined);
  }, [video]);
  const possible = 'pictureInPictureEnabled' in document && document.pictureInPictureEnabled;
  return { active, toggle: possible ? toggle : null };
}
