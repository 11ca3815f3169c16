import { Activity, Expand, Keyboard, Pause, PictureInPicture2, Play, RectangleHorizontal, Shrink } from 'lucide-react';
import type { Stream } from '@/api/streams';
import { clock, count } from '@/lib/format';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import type { Player, PlayerView } from '../engine/player';
import type { Command } from '../model/shortcuts';
import { ControlButton } from './ControlButton';
import { LiveButton } from './LiveButton';
import { QualityMenu } from './QualityMenu';
import { VolumeControl } from './VolumeControl';
import styles from './Controls.module.css';

interface Props {
  readonly player: Player;
  readonly view: PlayerView;
  readonly stream: Stream | null;
  /** Shows the keys in the tips. */
  readonly shortcuts: boolean;
  readonly active: { readonly stats: boolean; readonly pip: boolean; readonly theatre: boolean; readonly fullscreen: boolean };
  readonly possible: { readonly pip: boolean; readonly theatre: boolean; readonly fullscreen: boolean };
  readonly run: (command: Command) => void;
  readonly onMenu: (open: boolean) => void;
  readonly onMuted: (muted: boolean) => void;
  readonly onVolume: (volume: number) => void;
}

/** The bar at the bottom of the picture. */
export function Controls(props: Props) {
  const { player, view, stream, shortcuts, active, possible, run } = props;
  const hint = (key: string) => (shortcuts ? key : undefined);
  const { kind } = view.state;
  const paused = kind === 'paused';
  const watching = kind !== 'offline' && kind !== 'error';
  const onAir = watching && kind !== 'interrupted';
  return (
    <div className={styles.bar}>
      {watching && (
        <ControlButton
          testid="play"
          label={paused ? t('player.play') : t('player.pause')}
          hint={hint('K')}
          onPress={() => run('play')}
        >
          {paused ? <Play aria-hidden="true" fill="currentColor" /> : <Pause aria-hidden="true" fill="currentColor" />}
        </ControlButton>
      )}
      <VolumeControl view={view} hint={hint('M')} onMuted={props.onMuted} onVolume={props.onVolume} />
      {onAir && <LiveButton view={view} player={player} />}
      {watching && stream !== null && <Uptime startedAt={stream.started_at} />}
      <span className={styles.space} />
      {watching && stream !== null && (
        <span className={styles.viewers} data-testid="player-viewers">
          {t('player.viewers', { count: count(stream.viewers) })}
        </span>
      )}
      {onAir && <QualityMenu view={view} player={player} onOpenChange={props.onMenu} />}
      <ControlButton testid="stats" label={t('player.stats')} hint={hint('I')} pressed={active.stats} onPress={() => run('stats')}>
        <Activity aria-hidden="true" />
      </ControlButton>
      <ControlButton testid="help" label={t('player.help')} hint="?" onPress={() => run('help')} className={styles.wide}>
        <Keyboard aria-hidden="true" />
      </ControlButton>
      {possible.pip && watching && (
        <ControlButton
          testid="pip"
          label={active.pip ? t('player.pip.leave') : t('player.pip')}
          hint={hint('P')}
          onPress={() => run('pip')}
        >
          <PictureInPicture2 aria-hidden="true" />
        </ControlButton>
      )}
      {possible.theatre && !active.fullscreen && (
        <ControlButton
          testid="theatre"
          label={active.theatre ? t('player.theatre.leave') : t('player.theatre')}
          hint={hint('T')}
          onPress={() => run('theatre')}
          className={styles.wide}
        >
          <RectangleHorizontal aria-hidden="true" />
        </ControlButton>
      )}
      {possible.fullscreen && (
        <ControlButton
          testid="fullscreen"
          label={active.fullscreen ? t('player.fullscreen.leave') : t('player.fullscreen')}
          hint={hint('F')}
          onPress={() => run('fullscreen')}
        >
          {active.fullscreen ? <Shrink aria-hidden="true" /> : <Expand aria-hidden="true" />}
        </ControlButton>
      )}
    </div>
  );
}

function Uptime({ startedAt }: { readonly startedAt: string }) {
  const time = clock((useNow() - Date.parse(startedAt)) / 1000);
  return (
    <span className={styles.uptime} title={t('player.uptime', { time })} data-testid="player-uptime">
      {time}
    </span>
  );
}
