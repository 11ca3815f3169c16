import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Navigate, useLocation } from 'react-router';
import { me, type Me } from '@/api/me';
import { Button } from '@/components/Button';
import { Notice } from '@/components/Notice';
import { t } from '@/text/t';

/** A page for people with an account; others sign in first and come back. */
export function SignedIn({ children }: { readonly children: (person: Me) => ReactNode }) {
  const { data: person, isError, refetch } = useQuery(me());
  const { pathname } = useLocation();
  if (person === undefined) {
    return isError ? (
      <Notice level="h1" title={t('gate.error.title')} body={t('gate.error.body')}>
        <Button onClick={() => void refetch()}>{t('common.retry')}</Button>
      </Notice>
    ) : (
      <p role="status" className="visually-hidden">
        {t('gate.loading')}
      </p>
    );
  }
  if (person === null) return <Navigate to={`/login?next=${encodeURIComponent(pathname)}`} replace />;
  return children(person);
}
