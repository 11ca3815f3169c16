import { useState } from 'react';
import { Button } from '@/components/Button';
import { t } from '@/text/t';
import styles from './Rules.module.css';

interface Props {
  readonly channel: string;
  readonly rules: string;
}

/** What the streamer wants people to know before they write, until they have read it once. */
export function Rules({ channel, rules }: Props) {
  const key = `millrace.chat.rules.${channel}`;
  const [read, setRead] = useState(() => stored(key));
  if (read === rules) return null;
  const accept = () => {
    setRead(rules);
    try {
      localStorage.setItem(key, rules);
    } catch {
      // Without storage they are shown on every visit.
    }
  };
  return (
    <div className={styles.rules} role="note" aria-label={t('chat.rules')}>
      <p className={styles.title}>{t('chat.rules')}</p>
      <p className={styles.text}>{rules}</p>
      <Button look="quiet" onClick={accept}>
        {t('chat.rules.ok')}
      </Button>
    </div>
  );
}

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
