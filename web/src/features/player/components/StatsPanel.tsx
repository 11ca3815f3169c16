import { TriangleAlert, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { Stream } from '@/api/streams';
import { bitrate, codecName, frameRate } from '@/lib/format';
import { t } from '@/text/t';
import type { Player, PlayerView } from '../engine/player';
import { measure, type Measured } from '../model/measure';
import styles from './StatsPanel.module.css';

interface Props {
  readonly video: HTMLVideoElement;
  readonly player: Player;
  readonly view: PlayerView;
  readonly stream: Stream | null;
  readonly onClose: () => void;
}

const REFRESH_MS = 500;

/** What is being played, measured here, beside what the server measured of the broadcast. */
export function StatsPanel({ video, player, view, stream, onClose }: Props) {
  const [measured, setMeasured] = useState<Measured>(() => measure(video, null, performance.now()));
  useEffect(() => {
    const timer = setInterval(
      () => setMeasured((last) => measure(video, last, performance.now())),
      REFRESH_MS,
    );
    return () => clearInterval(timer);
  }, [video]);

  const picture = stream?.health.video;
  const sound = stream?.health.audio;
  const none = t('stats.none');
  const { width, height } = measured;
  const rows: readonly (readonly [name: string, value: string, note?: string | undefined])[] = [
    [
      t('stats.video'),
      picture ? `${codecName(picture.codec)} · ${bitrate(picture.bitrate)}` : none,
      picture?.b_frames ? t('stats.bframes') : undefined,
    ],
    [t('stats.resolution'), width > 0 ? `${width} × ${height}` : none],
    [
      t('stats.frameRate'),
      measured.framesPerSecond === null ? none : measured.framesPerSecond.toFixed(0),
      picture?.frame_rate ? `/ ${frameRate(picture.frame_rate)}` : undefined,
    ],
    [
      t('stats.keyframes'),
      picture?.keyframe_interval
        ? t('stats.keyframes.every', { seconds: picture.keyframe_interval.toFixed(1) })
        : none,
    ],
    [
      t('stats.audio'),
      sound ? `${codecName(sound.codec)} · ${bitrate(sound.bitrate)}` : none,
      sound ? `${(sound.sample_rate / 1000).toString()} kHz · ${sound.channels}` : undefined,
    ],
    [t('stats.bitrate'), stream ? bitrate(stream.health.bitrate) : none],
    [
      t('stats.latency'),
      view.latency === null ? none : `${view.latency.toFixed(2)} s`,
      view.target === null ? undefined : t('stats.target', { seconds: view.target.toFixed(2) }),
    ],
    [t('stats.buffer'), `${measured.buffer.toFixed(2)} s`],
    [t('stats.rate'), `${measured.rate.toFixed(2)} ×`],
    [t('stats.dropped'), t('stats.droppedOf', { dropped: measured.dropped, total: measured.frames })],
    [t('stats.engine'), player.sourceName ?? none],
  ];
  const warnings = stream?.health.warnings ?? [];

  return (
    <section className={styles.panel} aria-label={t('stats.title')} data-testid="stats-panel">
      <button type="button" className={styles.close} onClick={onClose} aria-label={t('common.close')}>
        <X size={16} aria-hidden="true" />
      </button>
      <dl className={styles.list}>
        {rows.map(([name, value, note]) => (
          <div key={name} className={styles.row}>
            <dt>{name}</dt>
            <dd>
              {value}
              {note !== undefined && <span className={styles.note}> {note}</span>}
            </dd>
          </div>
        ))}
      </dl>
      {warnings.length > 0 && (
        <div className={styles.warnings}>
          <h3 className={styles.warningsTitle}>
            <TriangleAlert size={14} aria-hidden="true" /> {t('stats.warnings')}
          </h3>
          <ul>
            {warnings.map((warning) => (
              <li key={warning.code}>{warning.sentence}</li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}
