import { useQueryClient } from '@tanstack/react-query';
import { me, type Me } from '@/api/me';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { PasswordField } from '@/components/PasswordField';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { changePassword, sessions } from '../api/account';
import { ConfirmIdentity } from './ConfirmIdentity';

/** Changes the password, or sets the first one of who came by a provider. */
export function Password({ person }: { readonly person: Me }) {
  const queries = useQueryClient();
  if (!person.has_password) {
    return (
      <Panel id="password" title={t('password.title')} hint={t('password.none')}>
        <ConfirmIdentity>
          <Form
            submit={t('password.set')}
            onSubmit={async (data) => {
              await changePassword(undefined, entered(data, 'password'));
              await queries.invalidateQueries({ queryKey: me().queryKey });
            }}
          >
            <PasswordField label={t('auth.password.new')} fresh />
          </Form>
        </ConfirmIdentity>
      </Panel>
    );
  }
  return (
    <Panel id="password" title={t('password.title')} hint={t('password.hint')}>
      <Form
        submit={t('password.save')}
        done={t('password.saved')}
        clears
        onSubmit={async (data) => {
          await changePassword(entered(data, 'current'), entered(data, 'password'));
          await queries.invalidateQueries({ queryKey: sessions().queryKey });
        }}
      >
        <PasswordField name="current" label={t('password.current')} />
        <PasswordField label={t('auth.password.new')} fresh />
      </Form>
    </Panel>
  );
}
