import { useQuery } from '@tanstack/react-query';
import { Clock, Eye, TriangleAlert } from 'lucide-react';
import { Link } from 'react-router';
import type { Channel, Profile } from '@/api/channels';
import { calendarUrl, scheduleOf } from '@/api/schedule';
import type { Stream } from '@/api/streams';
import { Avatar } from '@/components/Avatar';
import { CopyField } from '@/components/CopyField';
import { LiveBadge } from '@/components/LiveBadge';
import { PlannedList } from '@/components/PlannedList';
import { bitrate, clock, codecName, count, encoderName, pictureName } from '@/lib/format';
import { languageName } from '@/lib/languages';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import { FollowButton } from '../FollowButton';
import { ReportButton } from '../ReportButton';
import styles from './AboutBroadcast.module.css';

interface Props {
  readonly channel: string;
  readonly stream: Stream | null;
  /** What its owner says of it; `null` while unknown, or where there is only a broadcast. */
  readonly about: Channel | null;
  /** Who is behind it. */
  readonly person: Profile | null;
}

/** Whose broadcast this is, what it is made of, and how to pass it on. */
export function AboutBroadcast({ channel, stream, about, person }: Props) {
  const { origin } = window.location;
  const embed = `<iframe src="${origin}/embed/${channel}" width="960" height="540" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>`;
  const warnings = stream?.health.warnings ?? [];
  return (
    <div className={styles.about}>
      <header className={styles.header}>
        <Avatar name={channel} picture={person?.avatar_url} live={stream?.state === 'live'} />
        <div className={styles.who}>
          <h1 className={styles.name}>{about?.title || (about === null && person?.display_name) || channel}</h1>
          {about !== null && (
            <p className={styles.facts} data-testid="channel-facts">
              {[
                about.title && channel,
                about.category,
                about.language && languageName(about.language),
                about.followers === 1
                  ? t('channel.followers.one')
                  : t('channel.followers.many', { count: count(about.followers) }),
              ]
                .filter(Boolean)
                .join(' · ')}
            </p>
          )}
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
          {about !== null && <FollowButton channel={about} />}
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
      {about !== null && about.tags.length > 0 && (
        <ul className={styles.tags} aria-label={t('channel.tags')}>
          {about.tags.map((tag) => (
            <li key={tag}>
              <Link to={`/?tag=${encodeURIComponent(tag)}`}>#{tag}</Link>
            </li>
          ))}
        </ul>
      )}
      {(about?.description || person?.bio) && (
        <section className={styles.words} aria-labelledby="about">
          <h2 id="about" className={styles.wordsTitle}>
            {t('channel.about', { name: person?.display_name ?? channel })}
          </h2>
          {about?.description && <p>{about.description}</p>}
          {person?.bio && <p className={styles.bio}>{person.bio}</p>}
        </section>
      )}
      {about !== null && <ComingUp channel={channel} />}
      <section className={styles.share} aria-label={t('watch.share')}>
        <CopyField label={t('watch.link')} value={`${origin}/@${channel}`} />
        <CopyField label={t('watch.embed')} value={embed} />
      </section>
      {about !== null ? (
        <ReportButton about="channel" name={channel} owner={about.owner.name} />
      ) : (
        person !== null && <ReportButton about="person" name={person.name} owner={person.name} />
      )}
    </div>
  );
}

/** What the channel plans; nothing where it plans nothing. */
function ComingUp({ channel }: { readonly channel: string }) {
  const { data: planned = [] } = useQuery(scheduleOf(channel));
  if (planned.length === 0) return null;
  return (
    <section className={styles.words} aria-labelledby="schedule">
      <h2 id="schedule" className={styles.wordsTitle}>
        {t('schedule.title')}
      </h2>
      <PlannedList planned={planned} />
      <p>
        <a href={calendarUrl(channel)}>{t('schedule.subscribe')}</a>
      </p>
    </section>
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
