import { useState } from 'react';
import { Link } from 'react-router';
import { Form } from '@/components/Form';
import { Notice } from '@/components/Notice';
import { PasswordField } from '@/components/PasswordField';
import { entered } from '@/lib/entered';
import { useFragmentToken } from '@/lib/fragment-token';
import { t } from '@/text/t';
import { resetPassword } from '../api/auth';
import { AuthCard } from './AuthCard';

/** Sets a new password with the token of a link. */
export function ResetForm() {
  const token = useFragmentToken();
  const [set, setSet] = useState(false);
  if (set) {
    return (
      <div role="status">
        <AuthCard
          title={t('reset.done.title')}
          body={t('reset.done.body')}
          footer={<Link to="/login">{t('login.title')}</Link>}
        />
      </div>
    );
  }
  if (token === '') return <Notice level="h1" title={t('link.missing.title')} body={t('link.missing.body')} />;
  return (
    <AuthCard title={t('reset.title')} body={t('reset.body')}>
      <Form
        submit={t('reset.submit')}
        onSubmit={async (data) => {
          await resetPassword(token, entered(data, 'password'));
          setSet(true);
        }}
      >
        <PasswordField label={t('auth.password.new')} fresh />
      </Form>
    </AuthCard>
  );
}
