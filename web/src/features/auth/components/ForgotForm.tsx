import { useState } from 'react';
import { Link } from 'react-router';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { askForReset } from '../api/auth';
import { AuthCard } from './AuthCard';

/** Asks for a link that sets a new password. */
export function ForgotForm() {
  const [sent, setSent] = useState(false);
  const back = <Link to="/login">{t('login.title')}</Link>;
  if (sent) {
    return (
      <div role="status">
        <AuthCard title={t('forgot.sent.title')} body={t('forgot.sent.body')} footer={back} />
      </div>
    );
  }
  return (
    <AuthCard title={t('forgot.title')} body={t('forgot.body')} footer={back}>
      <Form
        submit={t('forgot.submit')}
        onSubmit={async (data) => {
          await askForReset(entered(data, 'login').trim());
          setSent(true);
        }}
      >
        <TextField
          name="login"
          label={t('auth.login')}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
        />
      </Form>
    </AuthCard>
  );
}
