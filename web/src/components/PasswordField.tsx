import { useState } from 'react';
import { TextField } from '@/components/Field';
import { t } from '@/text/t';
import styles from './PasswordField.module.css';

interface Props {
  readonly name?: string;
  readonly label?: string;
  /** A password that is being chosen: the browser offers one, and the rules are told. */
  readonly fresh?: boolean;
}

/** A password, hidden until its owner wants to read it. */
export function PasswordField({ name = 'password', label = t('auth.password'), fresh = false }: Props) {
  const [shown, setShown] = useState(false);
  return (
    <div className={styles.field}>
      <TextField
        name={name}
        label={label}
        type={shown ? 'text' : 'password'}
        autoComplete={fresh ? 'new-password' : 'current-password'}
        autoCapitalize="none"
        spellCheck={false}
        required
        {...(fresh && { hint: t('auth.password.hint') })}
      />
      <button
        type="button"
        className={styles.toggle}
        aria-label={shown ? t('auth.password.hideLabel') : t('auth.password.showLabel')}
        onClick={() => setShown(!shown)}
      >
        {shown ? t('auth.password.hide') : t('auth.password.show')}
      </button>
    </div>
  );
}
