import { Link } from 'react-router';
import { t } from '@/text/t';
import { register } from '../api/auth';
import { AccountForm } from './AccountForm';
import { AuthCard } from './AuthCard';

/** Makes an account and signs its person in. */
export function RegisterForm({ onDone }: { readonly onDone: () => Promise<unknown> }) {
  return (
    <AuthCard
      title={t('register.title')}
      footer={
        <>
          {t('register.known')} <Link to="/login">{t('login.title')}</Link>
        </>
      }
    >
      <AccountForm
        submit={t('register.submit')}
        onSubmit={async (person) => {
          await register(person);
          await onDone();
        }}
      />
    </AuthCard>
  );
}
