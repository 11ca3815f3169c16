import type { ReactNode } from 'react';
import { ChannelArt } from './ChannelArt';
import styles from './Notice.module.css';

interface Props {
  readonly title: string;
  readonly body: string;
  readonly icon?: ReactNode;
  readonly children?: ReactNode;
  readonly level?: 'h1' | 'h2';
}

/** A whole-view message: empty, broken, not found. */
export function Notice({ title, body, icon, children, level: Heading = 'h2' }: Props) {
  return (
    <div className={styles.notice}>
      <div className={styles.currents} aria-hidden="true">
        <ChannelArt name="millrace" />
      </div>
      {icon !== undefined && <div className={styles.icon}>{icon}</div>}
      <Heading className={styles.title}>{title}</Heading>
      <p className={styles.body}>{body}</p>
      {children}
    </div>
  );
}
