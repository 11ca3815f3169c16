import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { site } from '@/api/site';
import { useFragmentToken } from '@/lib/fragment-token';
import { t } from '@/text/t';
import { register } from '../api/auth';
import { AccountForm } from './AccountForm';
import { AuthCard } from './AuthCard';
import { ProviderButtons } from './ProviderButtons';

/** Why somebody who has no invitation cannot register. */
const REFUSALS = { open: undefined, invite: 'register.invited', closed: 'register.closed' } as const;

/** Makes an account and signs its person in. An invitation is the fragment of the address that it came with. */
export function RegisterForm({ onDone }: { readonly onDone: () => Promise<unknown> }) {
  const invitation = useFragmentToken();
  const { data: about } = useQuery(site());
  const refusal = about === undefined ? undefined : REFUSALS[about.registration];
  const barred = about?.registration === 'closed' || (about?.registration === 'invite' && invitation === '');
  return (
    <AuthCard
      title={t('register.title')}
      footer={
        <>
          {t('register.known')} <Link to="/login">{t('login.title')}</Link>
        </>
      }
    >
      {barred && refusal !== undefined ? (
        <p role="status">{t(refusal)}</p>
      ) : (
        <>
          <ProviderButtons back="/" />
          <AccountForm
            submit={t('register.submit')}
            onSubmit={async (person) => {
              await register({ ...person, ...(invitation !== '' && { invitation }) });
              await onDone();
            }}
          />
          {(about?.rules || about?.rules_url) && (
            <p>
              {t('register.rules')} <Link to="/rules">{t('rules.title')}</Link>
            </p>
          )}
        </>
      )}
    </AuthCard>
  );
}
