import { AlertDialog } from '@base-ui/react/alert-dialog';
import { useRef, useState, type ReactNode } from 'react';
import { t } from '@/text/t';
import { Button } from './Button';
import { failureOf } from './Form';
import styles from './Confirm.module.css';

interface Props {
  /** On the button that asks. */
  readonly trigger: ReactNode;
  readonly triggerLabel?: string;
  readonly title: string;
  readonly body: string;
  readonly confirm: string;
  readonly onConfirm: () => Promise<unknown>;
  readonly look?: 'quiet' | 'danger';
}

/** A button whose deed cannot be undone: asks first, waits, and says what went wrong. */
export function Confirm({ trigger, triggerLabel, title, body, confirm, onConfirm, look = 'quiet' }: Props) {
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const cancel = useRef<HTMLButtonElement>(null);

  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      setOpen(false);
    } catch (caught) {
      setError(failureOf(caught).sentence);
    } finally {
      setBusy(false);
    }
  };

  return (
    <AlertDialog.Root
      open={open}
      onOpenChange={(next) => {
        setOpen(next);
        setError(null);
      }}
    >
      <AlertDialog.Trigger render={<Button look={look} aria-label={triggerLabel} />}>{trigger}</AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={styles.backdrop} />
        <AlertDialog.Popup className={styles.popup} initialFocus={cancel}>
          <AlertDialog.Title className={styles.title}>{title}</AlertDialog.Title>
          <AlertDialog.Description className={styles.body}>{body}</AlertDialog.Description>
          {error !== null && (
            <p role="alert" className={styles.error}>
              {error}
            </p>
          )}
          <div className={styles.actions}>
            <AlertDialog.Close ref={cancel} render={<Button look="quiet" />}>
              {t('common.cancel')}
            </AlertDialog.Close>
            <Button look="danger" disabled={busy} onClick={() => void run()}>
              {busy ? t('form.busy') : confirm}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
