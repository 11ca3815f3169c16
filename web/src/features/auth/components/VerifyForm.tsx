import { useState } from 'react';
import { Link } from 'react-router';
import { Form } from '@/components/Form';
import { Notice } from '@/components/Notice';
import { useFragmentToken } from '@/lib/fragment-token';
import { t } from '@/text/t';
import { verifyEmail } from '../api/auth';
import { AuthCard } from './AuthCard';

/**
 * Proves an address with the token of a mail. It takes a click: programs that open the links of mails to look for harm
 * prove nothing.
 */
export function VerifyForm({ onDone }: { readonly onDone: () => Promise<unknown> }) {
  const token = useFragmentToken();
  const [proved, setProved] = useState(false);
  if (proved) {
    return (
      <div role="status">
        <AuthCard
          title={t('verify.done.title')}
          body={t('verify.done.body')}
          footer={<Link to="/settings#email">{t('verify.done.settings')}</Link>}
        />
      </div>
    );
  }
  if (token === '') return <Notice level="h1" title={t('link.missing.title')} body={t('link.missing.body')} />;
  return (
    <AuthCard title={t('verify.title')} body={t('verify.body')}>
      <Form
        submit={t('verify.submit')}
        onSubmit={async () => {
          await verifyEmail(token);
          await onDone();
          setProved(true);
        }}
      />
    </AuthCard>
  );
}
