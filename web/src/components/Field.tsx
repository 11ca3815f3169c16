import { useId, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes } from 'react';
import { useFieldError } from './form-context';
import styles from './Form.module.css';

/** Longest name of an account or a channel. */
const NAME_MAX = 25;

interface Named {
  readonly name: string;
  readonly label: string;
  readonly hint?: ReactNode;
}

/** A line of text in a {@link Form}, with its label, a hint and the error of the last try. */
export function TextField({ name, label, hint, ...rest }: Named & InputHTMLAttributes<HTMLInputElement>) {
  const field = useField(name, hint);
  return (
    <Frame label={label} hint={hint} {...field}>
      <input className={styles.input} type="text" name={name} {...field.control} {...rest} />
    </Frame>
  );
}

/** The name of an account or a channel in a {@link Form}: browsers neither complete nor correct it. */
export function NameField(props: Named & InputHTMLAttributes<HTMLInputElement>) {
  return <TextField autoComplete="off" autoCapitalize="none" spellCheck={false} maxLength={NAME_MAX} required {...props} />;
}

/** Several lines of text in a {@link Form}. */
export function TextArea({ name, label, hint, ...rest }: Named & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const field = useField(name, hint);
  return (
    <Frame label={label} hint={hint} {...field}>
      <textarea className={styles.input} name={name} rows={3} {...field.control} {...rest} />
    </Frame>
  );
}

/** A choice in a {@link Form}; its options are the children. */
export function SelectField({ name, label, hint, ...rest }: Named & SelectHTMLAttributes<HTMLSelectElement>) {
  const field = useField(name, hint);
  return (
    <Frame label={label} hint={hint} {...field}>
      <select className={styles.input} name={name} {...field.control} {...rest} />
    </Frame>
  );
}

/** A box to tick in a {@link Form}. */
export function CheckField({ name, label, hint, ...rest }: Named & InputHTMLAttributes<HTMLInputElement>) {
  const field = useField(name, hint);
  return (
    <div className={styles.field}>
      <label className={styles.check}>
        <input type="checkbox" name={name} {...field.control} {...rest} />
        {label}
      </label>
      {hint !== undefined && (
        <p id={field.hintId} className={styles.hint}>
          {hint}
        </p>
      )}
    </div>
  );
}

function useField(name: string, hint: ReactNode) {
  const id = useId();
  const error = useFieldError(name);
  const hintId = `${id}hint`;
  const errorId = `${id}error`;
  const described = [error !== undefined && errorId, hint !== undefined && hintId].filter(Boolean).join(' ');
  return {
    error,
    hintId,
    errorId,
    control: {
      id,
      'aria-invalid': error !== undefined,
      ...(described !== '' && { 'aria-describedby': described }),
    },
  };
}

interface FrameProps extends ReturnType<typeof useField> {
  readonly label: string;
  readonly hint: ReactNode;
  readonly children: ReactNode;
}

function Frame({ label, hint, error, control, hintId, errorId, children }: FrameProps) {
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={control.id}>
        {label}
      </label>
      {children}
      {error !== undefined && (
        <p id={errorId} className={styles.error}>
          {error}
        </p>
      )}
      {hint !== undefined && (
        <p id={hintId} className={styles.hint}>
          {hint}
        </p>
      )}
    </div>
  );
}
