import { ChannelArt } from './ChannelArt';
import styles from './Avatar.module.css';

/** The round sign of a channel. */
export function Avatar({ name, live = false }: { readonly name: string; readonly live?: boolean }) {
  return (
    <span className={styles.avatar} data-live={live} aria-hidden="true">
      <span className={styles.inner}>
        <ChannelArt name={name} />
        <span className={styles.letter}>{name.charAt(0).toUpperCase()}</span>
      </span>
    </span>
  );
}
