import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { t } from '@/text/t';
import styles from './CopyField.module.css';

interface Props {
  readonly label: string;
  readonly value: string;
}

const CONFIRM_MS = 1_800;

/** A value to take along: shown whole, copied with one click. */
export function CopyField({ label, value }: Props) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), CONFIRM_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      // No clipboard (plain http, or refused): the text can still be selected.
    }
  };

  return (
    <div className={styles.field}>
      <span className={styles.label}>{label}</span>
      <code className={styles.value}>{value}</code>
      <button type="button" className={styles.copy} onClick={() => void copy()} aria-label={`${t('common.copy')}: ${label}`}>
        {copied ? <Check size={16} aria-hidden="true" /> : <Copy size={16} aria-hidden="true" />}
      </button>
      <span className="visually-hidden" role="status">
        {copied ? t('common.copied') : ''}
      </span>
    </div>
  );
}
