import { Dialog } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { Flag, X } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { me } from '@/api/me';
import { report, REASONS, type Reported } from '@/api/reports';
import { SelectField, TextArea } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import styles from './ReportButton.module.css';
import shell from './Shell.module.css';

/** Tells the admins of a channel or a person; who is not signed in is led to the door and back. */
export function ReportButton({ about, name, owner }: Reported & { readonly owner: string | undefined }) {
  const { data: person } = useQuery(me());
  const [sent, setSent] = useState(false);
  const label = (
    <>
      <Flag size={15} aria-hidden="true" />
      {t('report.action')}
    </>
  );
  if (person === undefined || person?.name === owner) return null;
  if (person === null) {
    return (
      <Link to={`/login?next=/@${name}`} className={styles.trigger}>
        {label}
      </Link>
    );
  }
  return (
    <Dialog.Root onOpenChange={(open) => open && setSent(false)}>
      <Dialog.Trigger className={styles.trigger}>{label}</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={shell.backdrop} />
        <Dialog.Popup className={[shell.dialog, styles.dialog].join(' ')}>
          <Dialog.Close className={shell.close} aria-label={t('common.close')}>
            <X size={20} aria-hidden="true" />
          </Dialog.Close>
          <Dialog.Title>{t('report.title', { name })}</Dialog.Title>
          {sent ? (
            <p role="status">{t('report.sent')}</p>
          ) : (
            <>
              <Dialog.Description>{t('report.hint')}</Dialog.Description>
              <Form
                submit={t('report.send')}
                onSubmit={async (data) => {
                  const reason = REASONS.find((one) => one === entered(data, 'reason')) ?? 'other';
                  await report({ about, name }, { reason, text: entered(data, 'text') });
                  setSent(true);
                }}
              >
                <SelectField name="reason" label={t('report.reason')}>
                  {REASONS.map((reason) => (
                    <option key={reason} value={reason}>
                      {t(`report.reason.${reason}`)}
                    </option>
                  ))}
                </SelectField>
                <TextArea name="text" label={t('report.text')} hint={t('report.text.hint')} maxLength={1_000} rows={4} />
              </Form>
            </>
          )}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
