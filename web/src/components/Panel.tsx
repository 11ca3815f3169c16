import { useId, type ReactNode } from 'react';
import styles from './Panel.module.css';

interface Props {
  readonly title: string;
  readonly hint?: ReactNode;
  readonly action?: ReactNode;
  readonly children?: ReactNode;
  readonly id?: string;
}

/** One matter of a page: a heading, what it means, and what can be done. */
export function Panel({ title, hint, action, children, id }: Props) {
  const heading = useId();
  return (
    <section className={styles.panel} aria-labelledby={heading} id={id}>
      <header className={styles.header}>
        <h2 id={heading} className={styles.title}>
          {title}
        </h2>
        {action}
      </header>
      {hint !== undefined && <p className={styles.hint}>{hint}</p>}
      {children}
    </section>
  );
}
