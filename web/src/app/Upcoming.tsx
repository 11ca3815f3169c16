import { useQuery } from '@tanstack/react-query';
import { me } from '@/api/me';
import { upcoming } from '@/api/schedule';
import { PlannedList } from '@/components/PlannedList';
import { t } from '@/text/t';
import styles from './Upcoming.module.css';

/** What the channels plan that one follows; nothing where they plan nothing. */
export function Upcoming() {
  const { data: person } = useQuery(me());
  const { data: planned = [] } = useQuery({ ...upcoming(), enabled: Boolean(person) });
  if (!person || planned.length === 0) return null;
  return (
    <section className={styles.upcoming} aria-labelledby="upcoming">
      <h2 id="upcoming">{t('schedule.upcoming')}</h2>
      <PlannedList planned={planned} named />
    </section>
  );
}
