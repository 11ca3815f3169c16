import { useQueryClient } from '@tanstack/react-query';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { PasswordField } from '@/components/PasswordField';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { changePassword, sessions } from '../api/account';

/** Changes the password. */
export function Password() {
  const queries = useQueryClient();
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
