import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { Link } from 'react-router';
import { failureOf } from '@/components/Form';
import { Notice } from '@/components/Notice';
import { useFragmentToken } from '@/lib/fragment-token';
import { t } from '@/text/t';
import { verifyEmail } from '../api/auth';
import { AuthCard } from './AuthCard';

/** Confirms an e-mail address with the token of a link, by itself. */
export function VerifyEmail() {
  const token = useFragmentToken();
  const queries = useQueryClient();
  // A token works once: asked once, and the answer kept.
  const { isSuccess, isPending, error } = useQuery({
    queryKey: ['verify', token],
    queryFn: async () => {
      await verifyEmail(token);
      return true;
    },
    enabled: token !== '',
    retry: false,
    staleTime: Infinity,
  });
  useEffect(() => {
    if (isSuccess) void queries.invalidateQueries({ queryKey: ['me'] });
  }, [isSuccess, queries]);

  const home = <Link to="/">{t('auth.home')}</Link>;
  if (token === '') return <Notice level="h1" title={t('link.missing.title')} body={t('link.missing.body')} />;
  if (isPending) {
    return (
      <div role="status">
        <AuthCard title={t('verify.title')} />
      </div>
    );
  }
  if (error !== null) {
    return (
      <div role="alert">
        <AuthCard
          title={t('verify.failed.title')}
          body={`${failureOf(error).sentence} ${t('verify.again')}`}
          footer={home}
        />
      </div>
    );
  }
  return (
    <div role="status">
      <AuthCard title={t('verify.done.title')} body={t('verify.done.body')} footer={home} />
    </div>
  );
}
