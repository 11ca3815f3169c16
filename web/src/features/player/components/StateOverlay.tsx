import { Play, RotateCw, Unplug, WifiOff } from 'lucide-react';
import { Button } from '@/components/Button';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import type { Player, PlayerView } from '../engine/player';
import { PlayerCard } from './PlayerCard';
import styles from './StateOverlay.module.css';

interface Props {
  readonly channel: string;
  readonly view: PlayerView | null;
  readonly player: Player | null;
  /** When the server stops waiting for the publisher, as RFC 3339. */
  readonly interruptedUntil: string | undefined;
}

/** What stands over the picture: waiting, reconnecting, failed, paused. */
export function StateOverlay({ channel, view, player, interruptedUntil }: Props) {
  const state = view?.state ?? { kind: 'loading' };
  switch (state.kind) {
    case 'playing':
      return null;
    case 'loading':
    case 'buffering': {
      const name = t(state.kind === 'loading' ? 'player.state.loading' : 'player.state.buffering');
      return (
        <div className={styles.spot} data-testid="overlay" data-delayed={state.kind === 'buffering'}>
          <span className={styles.spinner} aria-hidden="true" />
          <span className="visually-hidden" role="status">
            {name}
          </span>
        </div>
      );
    }
    case 'paused':
      return (
        <div className={styles.spot} data-testid="overlay">
          <button
            type="button"
            className={styles.play}
            aria-label={t('player.play')}
            data-testid="big-play"
            onClick={() => player?.play()}
          >
            <Play aria-hidden="true" fill="currentColor" />
          </button>
        </div>
      );
    case 'offline':
      return (
        <PlayerCard title={t('player.offline.title', { channel })} body={t('player.offline.body')} channel={channel}>
          <span className={styles.waiting} aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
        </PlayerCard>
      );
    case 'interrupted':
      return (
        <PlayerCard
          icon={<Unplug aria-hidden="true" />}
          title={t('player.interrupted.title')}
          body={t('player.interrupted.body')}
        >
          {interruptedUntil !== undefined && <Countdown until={interruptedUntil} />}
        </PlayerCard>
      );
    case 'error':
      return (
        <PlayerCard
          icon={<WifiOff aria-hidden="true" />}
          title={t(`player.error.${state.problem}.title`)}
          body={t(`player.error.${state.problem}.body`)}
        >
          {state.problem !== 'unsupported' && (
            <Button look="quiet" onClick={() => player?.retry()} data-testid="retry">
              <RotateCw size={17} aria-hidden="true" /> {t('common.retry')}
            </Button>
          )}
        </PlayerCard>
      );
  }
}

function Countdown({ until }: { readonly until: string }) {
  const seconds = Math.ceil((Date.parse(until) - useNow()) / 1000);
  if (!(seconds > 0)) return null;
  return <p className={styles.body}>{t('player.interrupted.until', { seconds })}</p>;
}
