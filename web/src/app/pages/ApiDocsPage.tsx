import { useQuery } from '@tanstack/react-query';
import { useLocation } from 'react-router';
import { Button } from '@/components/Button';
import { Notice } from '@/components/Notice';
import { description } from '@/features/reference/api/description';
import { Reference } from '@/features/reference/components/Reference';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';

/** The API reference, made of the description that this server gives. */
export function ApiDocsPage() {
  useTitle(`${t('docs.title')} · ${t('app.name')}`);
  const { hash } = useLocation();
  const reference = useQuery(description());
  if (reference.data !== undefined) return <Reference content={reference.data} open={hash.slice(1)} />;
  if (!reference.isError) return <p role="status">{t('gate.loading')}</p>;
  return (
    <Notice level="h1" title={t('docs.failed')} body={t('docs.failed.body')}>
      <Button onClick={() => void reference.refetch()}>{t('common.retry')}</Button>
    </Notice>
  );
}
