import { useQuery } from '@tanstack/react-query';
import { site } from '@/api/site';
import { Button } from '@/components/Button';
import { Contact } from '@/components/Contact';
import { Notice } from '@/components/Notice';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import styles from './RulesPage.module.css';

/** What holds on this site. */
export function RulesPage() {
  useTitle(t('rules.title'));
  const { data, isError, refetch } = useQuery(site());
  if (data === undefined) {
    return isError ? (
      <Notice level="h1" title={t('gate.error.title')} body={t('gate.error.body')}>
        <Button onClick={() => void refetch()}>{t('common.retry')}</Button>
      </Notice>
    ) : (
      <p role="status">{t('gate.loading')}</p>
    );
  }
  if (!(data.rules || data.rules_url || data.contact)) {
    return <Notice level="h1" title={t('rules.title')} body={t('rules.none')} />;
  }
  return (
    <article className={styles.page}>
      <h1>{t('rules.of', { name: data.name })}</h1>
      {data.rules && <p className={styles.text}>{data.rules}</p>}
      {data.rules_url && (
        <p>
          <a href={data.rules_url} rel="noreferrer">
            {t('rules.more')}
          </a>
        </p>
      )}
      {data.contact && (
        <p>
          {t('site.contact')}: <Contact text={data.contact} />
        </p>
      )}
    </article>
  );
}
