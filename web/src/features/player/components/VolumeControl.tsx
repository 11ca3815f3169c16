import { Volume1, Volume2, VolumeX } from 'lucide-react';
import { t } from '@/text/t';
import type { PlayerView } from '../engine/player';
import { ControlButton } from './ControlButton';
import styles from './VolumeControl.module.css';

interface Props {
  readonly view: PlayerView;
  readonly hint: string | undefined;
  readonly onMuted: (muted: boolean) => void;
  readonly onVolume: (volume: number) => void;
}

export function VolumeControl({ view, hint, onMuted, onVolume }: Props) {
  const { muted, volume } = view;
  const Icon = muted ? VolumeX : volume < 0.5 ? Volume1 : Volume2;
  const shown = muted ? 0 : volume;
  return (
    <div className={styles.volume}>
      <ControlButton
        testid="mute"
        label={muted ? t('player.unmute') : t('player.mute')}
        hint={hint}
        onPress={() => onMuted(!muted)}
      >
        <Icon aria-hidden="true" />
      </ControlButton>
      <input
        type="range"
        className={styles.slider}
        data-testid="volume"
        aria-label={t('player.volume')}
        aria-valuetext={`${Math.round(shown * 100)} %`}
        min={0}
        max={1}
        step={0.05}
        value={shown}
        onChange={(event) => onVolume(event.currentTarget.valueAsNumber)}
      />
    </div>
  );
}
