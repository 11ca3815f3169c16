import { Repeat } from 'lucide-react';
import { Link } from 'react-router';
import type { PlannedBroadcast } from '@/api/schedule';
import { weekdayTime } from '@/lib/format';
import { t } from '@/text/t';
import rows from './Rows.module.css';
import styles from './PlannedList.module.css';

interface Props {
  readonly planned: readonly PlannedBroadcast[];
  /** Whether the list is of several channels. */
  readonly named?: boolean;
}

/** Broadcasts to come, at the times of whoever looks. */
export function PlannedList({ planned, named = false }: Props) {
  return (
    <ol className={rows.rows} data-testid="planned">
      {planned.map((one) => (
        <li key={`${one.plan}${one.day}`} className={rows.row} data-cancelled={one.cancelled}>
          <div className={rows.about}>
            <strong className={one.cancelled ? styles.cancelled : undefined}>
              {named ? <Link to={`/@${one.channel}`}>{one.title}</Link> : one.title}
            </strong>
            <span>{[named && one.channel, one.category, one.note].filter(Boolean).join(' · ')}</span>
          </div>
          <span className={rows.side}>
            {one.cancelled && <span className={styles.mark}>{t('schedule.cancelled')} </span>}
            <time dateTime={one.starts_at}>{weekdayTime(one.starts_at)}</time>
            {one.weekly && (
              <>
                {' '}
                <Repeat size={14} aria-hidden="true" />
                <span className="visually-hidden">{t('schedule.everyWeek')}</span>
              </>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}
