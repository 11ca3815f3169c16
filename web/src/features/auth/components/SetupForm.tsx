import { Notice } from '@/components/Notice';
import { useFragmentToken } from '@/lib/fragment-token';
import { t } from '@/text/t';
import { setUp } from '../api/auth';
import { AccountForm } from './AccountForm';
import { AuthCard } from './AuthCard';

/** Makes the owner's account, with the link that the server printed at its first start. */
export function SetupForm({ onDone }: { readonly onDone: () => Promise<unknown> }) {
  const token = useFragmentToken();
  if (token === '') return <Notice level="h1" title={t('setup.missing.title')} body={t('setup.missing.body')} />;
  return (
    <AuthCard title={t('setup.title')} body={t('setup.body')}>
      <AccountForm
        submit={t('setup.submit')}
        onSubmit={async (person) => {
          await setUp(token, person);
          await onDone();
        }}
      />
    </AuthCard>
  );
}
