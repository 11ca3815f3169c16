import { useId, useLayoutEffect, useRef, useState, type SubmitEvent, type ReactNode } from 'react';
import { ApiError } from '@/api/client';
import { t } from '@/text/t';
import { Button } from './Button';
import { FormContext, type Failure } from './form-context';
import styles from './Form.module.css';

interface Props {
  /** Sends what was entered. A thrown {@link ApiError} is shown at its fields; any other sentence above them. */
  readonly onSubmit: (entered: FormData) => Promise<unknown>;
  readonly submit: string;
  readonly children?: ReactNode;
  /** Beside the button. */
  readonly aside?: ReactNode;
  /** Said when it went well and the form stays. */
  readonly done?: string;
  readonly look?: 'brass' | 'quiet' | 'danger';
  readonly label?: string;
  /** Empties the fields after success. */
  readonly clears?: boolean;
  readonly className?: string | undefined;
}

/** A form that is sent to the API: busy while it is, errors at their fields and in a summary that takes the focus. */
export function Form({ onSubmit, submit, children, aside, done, look = 'brass', label, clears = false, className }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const summary = useRef<HTMLDivElement>(null);
  const title = useId();
  const [busy, setBusy] = useState(false);
  const [succeeded, setSucceeded] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [elsewhere, setElsewhere] = useState<Failure['fields']>([]);

  // After the errors are drawn: to the first field that has one, else to the sentence.
  useLayoutEffect(() => {
    if (failure === null) return;
    const field = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]');
    (field ?? summary.current)?.focus();
  }, [failure]);

  const send = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy) return;
    const element = event.currentTarget;
    setBusy(true);
    setFailure(null);
    setSucceeded(false);
    try {
      await onSubmit(new FormData(element));
      setSucceeded(true);
      if (clears) element.reset();
    } catch (error) {
      const failed = failureOf(error);
      // What is wrong with something that the form has no field for is said above.
      const named = new Set(Array.from(element.elements, (field) => (field as HTMLInputElement).name));
      setElsewhere(failed.fields.filter(({ name }) => !named.has(name)));
      setFailure(failed);
    } finally {
      setBusy(false);
    }
  };

  return (
    <FormContext value={failure}>
      <form
        ref={form}
        className={[styles.form, className].filter(Boolean).join(' ')}
        onSubmit={(event) => void send(event)}
        aria-label={label}
        aria-busy={busy}
        noValidate
      >
        {failure !== null && (
          <div className={styles.summary} role="alert" tabIndex={-1} ref={summary} aria-labelledby={title}>
            <p id={title}>{failure.sentence}</p>
            {elsewhere.map(({ name, detail }) => (
              <p key={name}>{detail}</p>
            ))}
          </div>
        )}
        {children}
        <div className={styles.actions}>
          <Button type="submit" look={look} disabled={busy}>
            {busy ? t('form.busy') : submit}
          </Button>
          {aside}
          <span className={styles.done} role="status">
            {succeeded && !busy ? done : ''}
          </span>
        </div>
      </form>
    </FormContext>
  );
}

/** What to show of an error that a form or a button met. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof ApiError)) return { sentence: t('form.failed'), fields: [] };
  if (error.status === 0) return { sentence: t('form.unreachable'), fields: [] };
  const wait = error.retryAfter === null ? '' : ` ${t('form.retryAfter', { seconds: error.retryAfter })}`;
  const fields = error.fields.map(({ pointer, detail }) => ({ name: pointer.split('/')[1] ?? pointer, detail }));
  return { sentence: `${error.message}${wait}`, fields };
}
