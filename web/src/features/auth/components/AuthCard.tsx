import type { ReactNode } from 'react';
import { ChannelArt } from '@/components/ChannelArt';
import styles from './AuthCard.module.css';

interface Props {
  readonly title: string;
  readonly body?: string;
  readonly children?: ReactNode;
  readonly footer?: ReactNode;
}

/** One form in the middle of a page. */
export function AuthCard({ title, body, children, footer }: Props) {
  return (
    <div className={styles.page}>
      <div className={styles.currents} aria-hidden="true">
        <ChannelArt name="millrace" />
      </div>
      <section className={styles.card}>
        <h1 className={styles.title}>{title}</h1>
        {body !== undefined && <p className={styles.body}>{body}</p>}
        {children}
        {footer !== undefined && <p className={styles.footer}>{footer}</p>}
      </section>
    </div>
  );
}
