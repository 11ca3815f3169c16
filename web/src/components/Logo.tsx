import { useSiteName } from '@/api/site';
import styles from './Logo.module.css';

/** The mill wheel, and the name of the site beside it. The wheel turns under the pointer. */
export function Logo({ wordmark = true }: { readonly wordmark?: boolean }) {
  const name = useSiteName();
  return (
    <span className={styles.logo}>
      <svg className={styles.mark} viewBox="0 0 32 32" aria-hidden="true">
        <g className={styles.wheel} fill="none" stroke="currentColor" strokeWidth="2.6" strokeLinecap="round">
          <circle cx="16" cy="16" r="8.6" />
          <path d="M16 3.4v4M16 24.6v4M3.4 16h4M24.6 16h4M7.1 7.1l2.8 2.8M22.1 22.1l2.8 2.8M7.1 24.9l2.8-2.8M22.1 9.9l2.8-2.8" />
        </g>
        <path className={styles.play} d="M13.6 12.1v7.8l6.6-3.9z" />
      </svg>
      {wordmark && <span className={styles.word}>{name === 'Millrace' ? 'millrace' : name}</span>}
    </span>
  );
}
