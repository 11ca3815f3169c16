import { useQuery, useQueryClient } from '@tanstack/react-query';
import { CircleCheck, TriangleAlert } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import type { Stream } from '@/api/streams';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { LiveBadge } from '@/components/LiveBadge';
import { Panel } from '@/components/Panel';
import { bitrate, clock, codecName, count, encoderName, frameRate, pictureName } from '@/lib/format';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import { running, stopBroadcast } from '../api/studio';
import styles from './OnAir.module.css';

interface Props {
  readonly channel: string;
  /** A player of the broadcast. */
  readonly preview: (stream: Stream) => ReactNode;
}

/** Whether the channel is live, how healthy the stream is, and how to stop it. */
export function OnAir({ channel, preview }: Props) {
  const { data: stream = null } = useQuery(running(channel));
  const queries = useQueryClient();
  const [shown, setShown] = useState(true);

  return (
    <Panel
      title={t('onair.title')}
      action={
        <span role="status" data-testid="on-air" data-state={stream?.state ?? 'idle'}>
          {stream === null && <LiveBadge text={t('onair.idle')} look="off" />}
          {stream?.state === 'live' && <LiveBadge text={t('onair.live')} />}
          {stream?.state === 'interrupted' && <LiveBadge text={t('onair.interrupted')} look="held" />}
        </span>
      }
    >
      {stream === null ? (
        <p className={styles.idle}>{t('onair.idle.body')}</p>
      ) : (
        <>
          {shown && <div className={styles.preview}>{preview(stream)}</div>}
          {stream.state === 'interrupted' && <Interrupted until={stream.interrupted_until} />}
          <Health stream={stream} />
          <div className={styles.actions}>
            <Button look="quiet" onClick={() => setShown(!shown)}>
              {shown ? t('onair.preview.hide') : t('onair.preview')}
            </Button>
            <Confirm
              trigger={t('onair.stop')}
              title={t('onair.stop.title')}
              body={t('onair.stop.body')}
              confirm={t('onair.stop')}
              look="danger"
              onConfirm={async () => {
                await stopBroadcast(channel);
                await queries.invalidateQueries({ queryKey: running(channel).queryKey });
              }}
            />
          </div>
        </>
      )}
    </Panel>
  );
}

function Interrupted({ until }: { readonly until?: string | null | undefined }) {
  const now = useNow();
  const seconds = until ? Math.max(0, Math.ceil((Date.parse(until) - now) / 1_000)) : 0;
  return <p className={styles.interrupted}>{t('onair.interrupted.body', { seconds })}</p>;
}

function Health({ stream }: { readonly stream: Stream }) {
  const { health, viewers, started_at, encoder } = stream;
  const { video, audio, warnings } = health;
  const now = useNow();
  const facts: readonly [label: string, value: string][] = [
    [t('onair.viewers'), count(viewers)],
    [t('onair.uptime'), clock((now - Date.parse(started_at)) / 1_000)],
    [t('onair.bitrate'), bitrate(health.bitrate)],
    [t('onair.frameRate'), video?.frame_rate ? t('onair.frameRate.value', { rate: frameRate(video.frame_rate) }) : t('stats.none')],
    [
      t('onair.keyframes'),
      video?.keyframe_interval
        ? t('onair.keyframes.value', { seconds: Number(video.keyframe_interval.toFixed(1)) })
        : t('stats.none'),
    ],
    [t('onair.picture'), video ? `${pictureName(video.height, video.frame_rate)} ${codecName(video.codec)}` : t('onair.none')],
    [t('onair.sound'), audio ? `${codecName(audio.codec)} ${bitrate(audio.bitrate)}` : t('onair.none')],
    [t('onair.encoder'), encoder ? encoderName(encoder) : t('stats.none')],
  ];
  return (
    <>
      <dl className={styles.facts} data-testid="health">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {warnings.length === 0 ? (
        <p className={styles.healthy}>
          <CircleCheck size={18} aria-hidden="true" />
          {t('onair.healthy')}
        </p>
      ) : (
        <ul className={styles.warnings} aria-label={t('onair.warnings')}>
          {warnings.map((warning) => (
            <li key={warning.code}>
              <TriangleAlert size={18} aria-hidden="true" />
              {warning.sentence}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
