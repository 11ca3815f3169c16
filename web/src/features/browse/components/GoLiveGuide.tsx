import { Link } from 'react-router';
import { Servers } from '@/components/Servers';
import { t } from '@/text/t';
import styles from './GoLiveGuide.module.css';

/** How a streamer starts, with what to paste into OBS. */
export function GoLiveGuide() {
  return (
    <section className={styles.guide} aria-labelledby="go-live">
      <h2 id="go-live" className={styles.title}>
        {t('golive.title')}
      </h2>
      <ol className={styles.steps}>
        <li>
          <p>{t('golive.step.service')}</p>
        </li>
        <li>
          <Servers label={t('golive.step.server')} />
          <p className={styles.key}>
            <strong>{t('golive.step.key')}:</strong> <Link to="/dashboard">{t('golive.key.dashboard')}</Link>{' '}
            {t('golive.key.open')}
          </p>
        </li>
        <li>
          <p>{t('golive.step.keyframe')}</p>
        </li>
        <li>
          <p>{t('golive.step.start')}</p>
        </li>
      </ol>
    </section>
  );
}
