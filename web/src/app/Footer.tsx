import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { site } from '@/api/site';
import { Contact } from '@/components/Contact';
import { t } from '@/text/t';
import styles from './Footer.module.css';

/** Below every page: what this site is, what holds here, whom to ask. Nothing where the owner said nothing. */
export function Footer() {
  const { data } = useQuery(site());
  if (data === undefined || !(data.description || data.rules || data.rules_url || data.contact)) return null;
  return (
    <footer className={styles.footer}>
      <p>
        <strong>{data.name}</strong>
        {data.description && ` · ${data.description}`}
      </p>
      <nav className={styles.links} aria-label={t('site.footer')}>
        {(data.rules || data.rules_url) && <Link to="/rules">{t('rules.title')}</Link>}
        {data.contact && (
          <span>
            {t('site.contact')}: <Contact text={data.contact} />
          </span>
        )}
      </nav>
    </footer>
  );
}
