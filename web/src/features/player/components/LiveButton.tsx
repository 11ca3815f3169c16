import { t } from '@/text/t';
import type { Player, PlayerView } from '../engine/player';
import styles from './LiveButton.module.css';

/** Red at the live edge; grey, and the way back, when behind. */
export function LiveButton({ view, player }: { readonly view: PlayerView; readonly player: Player }) {
  const { atEdge, latency, state } = view;
  const edge = atEdge && state.kind !== 'paused';
  const seconds = latency?.toFixed(1);
  return (
    <span className={styles.live}>
      <button
        type="button"
        className={styles.badge}
        data-testid="live-badge"
        data-edge={edge}
        aria-disabled={edge}
        aria-label={edge ? t('player.live') : t('player.jump')}
        onClick={() => {
          if (!edge) player.jumpToLive();
        }}
      >
        <span className={styles.dot} aria-hidden="true" />
        {t('player.live')}
        {!edge && <span className={styles.jump}>{t('player.jump')}</span>}
      </button>
      {seconds !== undefined && (
        <span
          className={styles.latency}
          data-testid="latency"
          title={t('player.latencyLabel', { seconds })}
          aria-label={t('player.latencyLabel', { seconds })}
          role="img"
        >
          {t('player.latency', { seconds })}
        </span>
      )}
    </span>
  );
}
