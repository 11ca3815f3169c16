import { Link } from 'react-router';
import { useFragmentToken } from '@/lib/fragment-token';
import { t } from '@/text/t';
import { register } from '../api/auth';
import { AccountForm } from './AccountForm';
import { AuthCard } from './AuthCard';
import { ProviderButtons } from './ProviderButtons';

/** Makes an account and signs its person in. An invitation is the fragment of the address that it came with. */
export function RegisterForm({ onDone }: { readonly onDone: () => Promise<unknown> }) {
  const invitation = useFragmentToken();
  return (
    <AuthCard
      title={t('register.title')}
      footer={
        <>
          {t('register.known')} <Link to="/login">{t('login.title')}</Link>
        </>
      }
    >
      <ProviderButtons back="/" />
      <AccountForm
        submit={t('register.submit')}
        onSubmit={async (person) => {
          await register({ ...person, ...(invitation !== '' && { invitation }) });
          await onDone();
        }}
      />
    </AuthCard>
  );
}
