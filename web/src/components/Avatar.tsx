import { ChannelArt } from './ChannelArt';
import styles from './Avatar.module.css';

interface Props {
  readonly name: string;
  /** Address of an uploaded picture; without one the name makes one. */
  readonly picture?: string | null | undefined;
  readonly live?: boolean;
}

/** The round sign of a channel or a person. */
export function Avatar({ name, picture, live = false }: Props) {
  return (
    <span className={styles.avatar} data-live={live} aria-hidden="true">
      <span className={styles.inner}>
        {picture ? (
          <img className={styles.picture} src={picture} alt="" />
        ) : (
          <>
            <ChannelArt name={name} />
            <span className={styles.letter}>{name.charAt(0).toUpperCase()}</span>
          </>
        )}
      </span>
    </span>
  );
}
