import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { signInOptions } from '@/api/sign-in-options';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { forgotPassword } from '../api/auth';
import { AuthCard } from './AuthCard';

/** The way back in: by mail, or, where this site sends none, over an admin. */
export function ForgotForm() {
  const { data: options, isError } = useQuery(signInOptions());
  const [sent, setSent] = useState(false);
  const footer = <Link to="/login">{t('login.title')}</Link>;

  if (sent) {
    return (
      <div role="status">
        <AuthCard title={t('forgot.sent.title')} body={t('forgot.sent.body')} footer={footer} />
      </div>
    );
  }
  if (options === undefined && !isError) {
    return (
      <p role="status" className="visually-hidden">
        {t('gate.loading')}
      </p>
    );
  }
  if (options?.mail !== true) return <AuthCard title={t('forgot.title')} body={t('forgot.body')} footer={footer} />;
  return (
    <AuthCard title={t('forgot.title')} body={t('forgot.mail.body')} footer={footer}>
      <Form
        submit={t('forgot.submit')}
        onSubmit={async (data) => {
          await forgotPassword(entered(data, 'login').trim());
          setSent(true);
        }}
      >
        <TextField
          name="login"
          label={t('auth.login')}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={254}
          required
        />
      </Form>
    </AuthCard>
  );
}
