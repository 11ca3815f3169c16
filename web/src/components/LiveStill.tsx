import { useState } from 'react';
import { t } from '@/text/t';
import { ChannelArt } from './ChannelArt';
import styles from './LiveStill.module.css';

interface Props {
  readonly channel: string;
  /** `thumbnail_url` of what is live; without one the name makes a picture. */
  readonly url?: string | null | undefined;
  /** How wide it is shown, for the browser to choose a size by. */
  readonly sizes: string;
}

const WIDTHS = [320, 640, 1280];

/** The newest picture of a live channel. The one before stays until the next is here; one that does not come is not missed. */
export function LiveStill({ channel, url, sizes }: Props) {
  // What needs a token has another address each time that it is asked for; only another picture is loaded anew.
  const [newest, setNewest] = useState(url ?? null);
  if (versionOf(url) !== versionOf(newest)) setNewest(url ?? null);
  const [loaded, setLoaded] = useState<string | null>(null);
  const shown = newest === null ? null : loaded;
  const pictures = [...new Set([shown, newest])].filter((picture) => picture !== null);
  return (
    <>
      <ChannelArt name={channel} />
      {pictures.map((picture) => (
        <img
          key={picture}
          className={styles.still}
          data-loaded={picture === shown}
          src={picture}
          srcSet={WIDTHS.map((width) => `${picture.replace('/thumb.jpg', `/thumb-${width}.webp`)} ${width}w`).join(', ')}
          sizes={sizes}
          alt={picture === shown ? t('browse.still', { channel }) : ''}
          loading="lazy"
          decoding="async"
          onLoad={() => setLoaded(picture)}
        />
      ))}
    </>
  );
}

function versionOf(url: string | null | undefined): string | null {
  return url ? new URLSearchParams(url.split('?')[1]).get('v') : null;
}
