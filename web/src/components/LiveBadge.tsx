import styles from './LiveBadge.module.css';

interface Props {
  readonly text: string;
  readonly look?: 'live' | 'held' | 'off';
}

/** The small badge that says whether a channel is live. */
export function LiveBadge({ text, look = 'live' }: Props) {
  return (
    <span className={`${styles.badge} ${styles[look]}`}>
      <span className={styles.dot} aria-hidden="true" />
      {text}
    </span>
  );
}
