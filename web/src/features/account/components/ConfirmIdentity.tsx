import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Button } from '@/components/Button';
import { failureOf } from '@/components/Form';
import { useNow } from '@/lib/useNow';
import { t } from '@/text/t';
import { confirmation, confirmWith } from '../api/account';
import styles from './Account.module.css';

/**
 * What takes a proof of who sits there, for who has no password: `children` once a provider has said so, and until then
 * the way to the providers that are linked.
 */
export function ConfirmIdentity({ children }: { readonly children: ReactNode }) {
  const { data } = useQuery(confirmation());
  const now = useNow();
  const [said, setSaid] = useState('');
  if (data === undefined) {
    return (
      <p role="status" className={styles.hint}>
        {t('gate.loading')}
      </p>
    );
  }
  if (data.confirmed_until && Date.parse(data.confirmed_until) > now) return children;
  const linked = new Map(data.items.map(({ provider, label }) => [provider, label]));
  const go = async (provider: string) => {
    setSaid('');
    try {
      window.location.assign((await confirmWith(provider)).url);
    } catch (error) {
      setSaid(failureOf(error).sentence);
    }
  };
  return (
    <div className={styles.pictureSide}>
      <p className={styles.hint}>{linked.size === 0 ? t('confirm.nobody') : t('confirm.hint')}</p>
      <div className={styles.buttons}>
        {[...linked].map(([provider, label]) => (
          <Button key={provider} look="quiet" onClick={() => void go(provider)}>
            {t('confirm.with', { provider: label })}
          </Button>
        ))}
      </div>
      <p role="status" className={styles.wrong}>
        {said}
      </p>
    </div>
  );
}
