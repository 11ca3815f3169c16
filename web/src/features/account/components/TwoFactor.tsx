import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { me, type Me } from '@/api/me';
import { Button } from '@/components/Button';
import { CopyField } from '@/components/CopyField';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { PasswordField } from '@/components/PasswordField';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { confirmTotp, disableTotp, enrolTotp, type TotpEnrolment } from '../api/account';
import { ConfirmIdentity } from './ConfirmIdentity';
import { QrCode } from './QrCode';
import styles from './Account.module.css';

/** The second factor: turned on with an app that proves itself, off with the password. */
export function TwoFactor({ person }: { readonly person: Me }) {
  const queries = useQueryClient();
  const [enrolment, setEnrolment] = useState<TotpEnrolment | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const refresh = () => queries.invalidateQueries({ queryKey: me().queryKey, exact: true });

  if (codes !== null) {
    return (
      <Panel id="second-factor" title={t('totp.title')}>
        <div className={styles.once} role="status">
          <p>{t('totp.codes')}</p>
          <ul className={styles.codes} aria-label={t('totp.codes.label')} data-testid="recovery-codes">
            {codes.map((code) => (
              <li key={code}>{code}</li>
            ))}
          </ul>
          <Button look="quiet" onClick={() => setCodes(null)}>
            {t('totp.codes.done')}
          </Button>
        </div>
      </Panel>
    );
  }
  if (person.two_factor) {
    return (
      <Panel id="second-factor" title={t('totp.title')} hint={t('totp.on')}>
        {person.has_password ? (
          <Form
            submit={t('totp.disable')}
            onSubmit={async (data) => {
              await disableTotp(entered(data, 'password'));
              await refresh();
            }}
          >
            <PasswordField label={t('totp.password')} />
          </Form>
        ) : (
          <ConfirmIdentity>
            <Form
              submit={t('totp.disable')}
              onSubmit={async () => {
                await disableTotp();
                await refresh();
              }}
            />
          </ConfirmIdentity>
        )}
      </Panel>
    );
  }
  if (enrolment === null) {
    return (
      <Panel id="second-factor" title={t('totp.title')} hint={t('totp.off')}>
        <Form submit={t('totp.start')} onSubmit={async () => setEnrolment(await enrolTotp())} />
      </Panel>
    );
  }
  return (
    <Panel id="second-factor" title={t('totp.title')} hint={t('totp.scan')}>
      <QrCode text={enrolment.otpauth_url} label={t('totp.qr')} />
      <CopyField label={t('totp.secret')} value={enrolment.secret} />
      <Form
        key="confirm"
        submit={t('totp.confirm')}
        aside={
          <Button look="quiet" onClick={() => setEnrolment(null)}>
            {t('common.cancel')}
          </Button>
        }
        onSubmit={async (data) => {
          const confirmed = await confirmTotp(entered(data, 'code').replace(/\s/g, ''));
          setEnrolment(null);
          setCodes(confirmed.recovery_codes);
          await refresh();
        }}
      >
        <TextField name="code" label={t('totp.code')} autoComplete="one-time-code" inputMode="numeric" autoFocus required />
      </Form>
    </Panel>
  );
}
