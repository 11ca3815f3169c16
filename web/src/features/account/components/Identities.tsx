import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { providers } from '@/api/providers';
import { Button } from '@/components/Button';
import { failureOf } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import { ProviderProblem } from '@/components/ProviderProblem';
import rows from '@/components/Rows.module.css';
import { date } from '@/lib/format';
import { t } from '@/text/t';
import { identities, linkIdentity, unlinkIdentity } from '../api/account';
import styles from './Account.module.css';

/** Accounts elsewhere that let the person in; nothing where this site takes no providers. */
export function Identities({ problem }: { readonly problem: string | null }) {
  const { data: offered = [] } = useQuery(providers());
  const list = useQuery({ ...identities(), enabled: offered.length > 0 });
  const queries = useQueryClient();
  const [said, setSaid] = useState('');
  if (offered.length === 0) return null;

  const run = async (work: () => Promise<unknown>) => {
    setSaid('');
    await work().catch((error: unknown) => setSaid(failureOf(error).sentence));
  };
  const unlink = async (id: string) => {
    await unlinkIdentity(id);
    await queries.invalidateQueries({ queryKey: identities().queryKey });
  };
  const link = async (provider: string) => {
    const { url } = await linkIdentity(provider);
    window.location.assign(url);
  };
  return (
    <Panel id="identities" title={t('identities.title')} hint={t('identities.hint')}>
      <ProviderProblem problem={problem} />
      <ListState query={list} empty={t('identities.none')}>
        {(items) => (
          <ul className={rows.rows}>
            {items.map(({ id, label, email, linked_at }) => (
              <li key={id} className={rows.row}>
                <div className={rows.about}>
                  <strong>{label}</strong>
                  <span>{[email, t('identities.since', { when: date(linked_at) })].filter(Boolean).join(' · ')}</span>
                </div>
                <Button
                  look="quiet"
                  aria-label={t('identities.unlink.label', { provider: label })}
                  onClick={() => void run(() => unlink(id))}
                >
                  {t('identities.unlink')}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </ListState>
      <div className={styles.buttons}>
        {offered.map(({ name, label }) => (
          <Button key={name} look="quiet" onClick={() => void run(() => link(name))}>
            {t('identities.link', { provider: label })}
          </Button>
        ))}
      </div>
      <p role="status" className={styles.wrong}>
        {said}
      </p>
    </Panel>
  );
}
