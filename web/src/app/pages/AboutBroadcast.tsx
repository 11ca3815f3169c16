import { Clock, Eye, TriangleAlert } from 'lucide-react';
import type { Stream } from '@/api/streams';
import { Avatar } from '@/components/Avatar';
import { CopyField } from '@/components/CopyField';
import { LiveBadge } from '@/components/LiveBadge';
import { bitrate, clock, codecName, count, encoderName, pictureName } from '@/lib/format';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import styles from './AboutBroadcast.module.css';

interface Props {
  readonly channel: string;
  readonly stream: Stream | null;
}

/** Whose broadcast this is, what it is made of, and how to pass it on. */
export function AboutBroadcast({ channel, stream }: Props) {
  const { origin } = window.location;
  const embed = `<iframe src="${origin}/embed/${channel}" width="960" height="540" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>`;
  const warnings = stream?.health.warnings ?? [];
  return (
    <div className={styles.about}>
      <header className={styles.header}>
        <Avatar name={channel} live={stream?.state === 'live'} />
        <div className={styles.who}>
          <h1 className={styles.name}>{channel}</h1>
          {stream !== null && <p className={styles.facts}>{factsOf(stream)}</p>}
        </div>
        <div className={styles.numbers}>
          {stream === null && <LiveBadge text={t('watch.offline')} look="off" />}
          {stream?.state === 'interrupted' && <LiveBadge text={t('watch.interrupted')} look="held" />}
          {stream !== null && (
            <>
              <span className={styles.number} data-testid="viewers" title={t('watch.viewers')}>
                <Eye size={18} aria-hidden="true" />
                <span className="visually-hidden">{t('watch.viewers')}</span> {count(stream.viewers)}
              </span>
              <span className={styles.number} data-testid="uptime" title={t('watch.uptime')}>
                <Clock size={17} aria-hidden="true" />
                <span className="visually-hidden">{t('watch.uptime')}</span>{' '}
                <Uptime startedAt={stream.started_at} />
              </span>
            </>
          )}
        </div>
      </header>
      {warnings.length > 0 && (
        <section className={styles.warnings} aria-label={t('watch.warnings')} data-testid="warnings">
          <TriangleAlert size={20} aria-hidden="true" />
          <div>
            <h2 className={styles.warningsTitle}>{t('watch.warnings')}</h2>
            {warnings.map((warning) => (
              <p key={warning.code}>{warning.sentence}</p>
            ))}
          </div>
        </section>
      )}
      <section className={styles.share} aria-label={t('watch.share')}>
        <CopyField label={t('watch.link')} value={`${origin}/@${channel}`} />
        <CopyField label={t('watch.embed')} value={embed} />
      </section>
    </div>
  );
}

function Uptime({ startedAt }: { readonly startedAt: string }) {
  return clock((useNow() - Date.parse(startedAt)) / 1000);
}

/** The broadcast in one line: `1080p60 · H.264 · AAC · 6.1 Mbit/s · OBS 29`. */
function factsOf({ health, encoder }: Stream): string {
  const { video, audio } = health;
  return [
    video && `${pictureName(video.height, video.frame_rate)} · ${codecName(video.codec)}`,
    audio && codecName(audio.codec),
    bitrate(health.bitrate),
    encoder && encoderName(encoder),
  ]
    .filter(Boolean)
    .join(' · ');
}
