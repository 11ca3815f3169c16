import { useState } from 'react';
import type { Me } from '@/api/me';
import { Button } from '@/components/Button';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { PasswordField } from '@/components/PasswordField';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { deleteAccount, EXPORT_URL } from '../api/account';
import { ConfirmIdentity } from './ConfirmIdentity';
import styles from './Account.module.css';

/** Taking one's data along, and leaving. */
export function YourData({ person, onEnded }: { readonly person: Me; readonly onEnded: () => void }) {
  const [leaving, setLeaving] = useState(false);
  const goodbye = (
    <Form
      look="danger"
      submit={t('delete.confirm')}
      aside={
        <Button look="quiet" onClick={() => setLeaving(false)}>
          {t('common.cancel')}
        </Button>
      }
      onSubmit={async (data) => {
        await deleteAccount(person.has_password ? entered(data, 'password') : undefined);
        onEnded();
      }}
    >
      {person.has_password && <PasswordField label={t('delete.password')} />}
    </Form>
  );
  return (
    <>
      <Panel id="data" title={t('data.title')} hint={t('data.hint')}>
        <div>
          <a className={styles.download} href={EXPORT_URL} download="millrace.json">
            {t('data.export')}
          </a>
        </div>
      </Panel>
      <Panel id="delete" title={t('delete.title')} hint={t('delete.hint')}>
        {leaving ? (
          <>{person.has_password ? goodbye : <ConfirmIdentity>{goodbye}</ConfirmIdentity>}</>
        ) : (
          <div>
            <Button look="quiet" onClick={() => setLeaving(true)}>
              {t('delete.start')}
            </Button>
          </div>
        )}
      </Panel>
    </>
  );
}
