import { useState } from 'react';
import { Link } from 'react-router';
import { ApiError } from '@/api/client';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { PasswordField } from '@/components/PasswordField';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { finishSignIn, signIn } from '../api/auth';
import { AuthCard } from './AuthCard';
import { ProviderButtons } from './ProviderButtons';
import { ProviderProblem } from '@/components/ProviderProblem';
import styles from './AuthCard.module.css';

/** Kinds of the answers that ask for the second factor. */
const CODE_WANTED = new Set(['second-factor-required', 'totp-required']);

interface Props {
  /** Where the person wants to be. */
  readonly next: string;
  /** Why the way over a provider failed. */
  readonly problem: string | null;
  /** Whether a provider has let the person in, and only the second factor is owed. */
  readonly codeOnly: boolean;
  /** The person is signed in now. */
  readonly onDone: () => Promise<unknown>;
}

/** Name and password; then, where the account has one, the second factor. */
export function LoginForm({ next, problem, codeOnly, onDone }: Props) {
  const [first, setFirst] = useState<{ login: string; password: string } | 'provider' | null>(
    codeOnly ? 'provider' : null,
  );
  const [recovery, setRecovery] = useState(false);

  if (first !== null) {
    return (
      <AuthCard
        title={t('login.code.title')}
        body={[first === 'provider' && t('login.code.provider'), recovery ? t('login.recovery.body') : t('login.code.body')]
          .filter(Boolean)
          .join(' ')}
        footer={
          <button type="button" className={styles.link} onClick={() => setRecovery(!recovery)}>
            {recovery ? t('login.code.app') : t('login.code.recovery')}
          </button>
        }
      >
        <Form
          key={String(recovery)}
          submit={t('login.code.submit')}
          onSubmit={async (data) => {
            const code = entered(data, 'code').replace(/\s/g, '');
            await (first === 'provider' ? finishSignIn(code) : signIn(first.login, first.password, code));
            await onDone();
          }}
          aside={
            <button type="button" className={styles.link} onClick={() => setFirst(null)}>
              {t('login.back')}
            </button>
          }
        >
          <TextField
            name="code"
            label={recovery ? t('login.recovery') : t('login.code')}
            autoComplete={recovery ? 'off' : 'one-time-code'}
            inputMode={recovery ? 'text' : 'numeric'}
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            required
          />
        </Form>
      </AuthCard>
    );
  }

  return (
    <AuthCard
      title={t('login.title')}
      footer={
        <>
          {t('login.new')} <Link to="/register">{t('login.register')}</Link>
        </>
      }
    >
      <ProviderProblem problem={problem} />
      <ProviderButtons back={next} />
      <Form
        submit={t('login.submit')}
        aside={<Link to="/forgot">{t('login.forgot')}</Link>}
        onSubmit={async (data) => {
          const given = { login: entered(data, 'login').trim(), password: entered(data, 'password') };
          try {
            await signIn(given.login, given.password);
          } catch (error) {
            if (!(error instanceof ApiError) || !CODE_WANTED.has(error.kind)) throw error;
            setFirst(given);
            return;
          }
          await onDone();
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
        <PasswordField />
      </Form>
    </AuthCard>
  );
}
