import { useQuery } from '@tanstack/react-query';
import { t } from '@/text/t';
import { providers, providerUrl } from '@/api/providers';
import styles from './ProviderButtons.module.css';

/** The other ways in, if this site has any. They are links: the browser leaves for the provider. */
export function ProviderButtons({ back }: { readonly back: string }) {
  const { data = [] } = useQuery(providers());
  if (data.length === 0) return null;
  return (
    <nav className={styles.providers} aria-label={t('providers.label')}>
      {data.map(({ name, label }) => (
        <a key={name} href={providerUrl(name, back)} className={styles.provider}>
          {t('providers.with', { provider: label })}
        </a>
      ))}
      <p className={styles.or}>{t('providers.or')}</p>
    </nav>
  );
}
