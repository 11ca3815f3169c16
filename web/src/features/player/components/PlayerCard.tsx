import type { ReactNode } from 'react';
import { ChannelArt } from '@/components/ChannelArt';
import styles from './StateOverlay.module.css';

interface Props {
  readonly title: string;
  readonly body: string;
  readonly icon?: ReactNode;
  /** Draws the channel's still picture behind the words. */
  readonly channel?: string;
  readonly children?: ReactNode;
}

/** Words in place of the picture. */
export function PlayerCard({ title, body, icon, channel, children }: Props) {
  return (
    <div className={styles.card} data-testid="overlay">
      {channel !== undefined && <ChannelArt name={channel} />}
      <div className={styles.words} role="status">
        {icon !== undefined && <span className={styles.icon}>{icon}</span>}
        <h2 className={styles.title}>{title}</h2>
        <p className={styles.body}>{body}</p>
      </div>
      {children}
    </div>
  );
}
