import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, type ReactNode } from 'react';
import { Navigate, useNavigate, useSearchParams } from 'react-router';
import { me } from '@/api/me';
import { ForgotForm } from '@/features/auth/components/ForgotForm';
import { LoginForm } from '@/features/auth/components/LoginForm';
import { RegisterForm } from '@/features/auth/components/RegisterForm';
import { ResetForm } from '@/features/auth/components/ResetForm';
import { SetupForm } from '@/features/auth/components/SetupForm';
import { VerifyForm } from '@/features/auth/components/VerifyForm';
import { pathAfterSignIn } from '@/lib/after-sign-in';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';

/** Goes on once somebody is signed in: everything that was known of nobody is asked again. */
function useSignedIn(path: string) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return useCallback(async () => {
    await queries.resetQueries();
    await navigate(path, { replace: true });
  }, [queries, navigate, path]);
}

/** For who is not signed in; others go on. */
function Outside({ path, children }: { readonly path: string; readonly children: ReactNode }) {
  const { data: person } = useQuery(me());
  return person ? <Navigate to={path} replace /> : children;
}

export function LoginPage() {
  useTitle(t('login.title'));
  const [search] = useSearchParams();
  const path = pathAfterSignIn(search.get('next'));
  const signedIn = useSignedIn(path);
  return (
    <Outside path={path}>
      <LoginForm
        next={path}
        problem={search.get('problem')}
        codeOnly={search.get('step') === 'code'}
        onDone={signedIn}
      />
    </Outside>
  );
}

export function RegisterPage() {
  useTitle(t('register.title'));
  const signedIn = useSignedIn('/');
  return (
    <Outside path="/">
      <RegisterForm onDone={signedIn} />
    </Outside>
  );
}

export function SetupPage() {
  useTitle(t('setup.title'));
  const signedIn = useSignedIn('/dashboard');
  return <SetupForm onDone={signedIn} />;
}

export function ForgotPage() {
  useTitle(t('forgot.title'));
  return <ForgotForm />;
}

export function ResetPage() {
  useTitle(t('reset.title'));
  return <ResetForm />;
}

export function VerifyPage() {
  useTitle(t('verify.title'));
  const queries = useQueryClient();
  return <VerifyForm onDone={() => queries.invalidateQueries({ queryKey: me().queryKey, exact: true })} />;
}
