import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { failureOf } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { ago, date } from '@/lib/format';
import { t } from '@/text/t';
import { endAllSessions, endSession, sessions } from '../api/account';
import styles from './Account.module.css';

/** The browsers that are signed in, each of which can be signed out from here. */
export function Sessions({ onEnded }: { readonly onEnded: () => void }) {
  const list = useQuery(sessions());
  const queries = useQueryClient();
  const [said, setSaid] = useState('');
  const end = async (id: string) => {
    try {
      await endSession(id);
      setSaid('');
    } catch (error) {
      setSaid(failureOf(error).sentence);
    }
    await queries.invalidateQueries({ queryKey: sessions().queryKey });
  };
  return (
    <Panel id="sessions" title={t('sessions.title')}>
      <ListState query={list} empty={t('sessions.none')}>
        {(items) => (
          <ul className={rows.rows}>
            {items.map(({ id, device, created_at, last_used_at, current }) => (
              <li key={id} className={rows.row}>
                <div className={rows.about}>
                  <strong>
                    {device}
                    {current && <span className={styles.here}>{t('sessions.this')}</span>}
                  </strong>
                  <span>
                    {t('sessions.last', { when: ago(last_used_at) })} · {t('sessions.since', { when: date(created_at) })}
                  </span>
                </div>
                {!current && (
                  <Button look="quiet" aria-label={t('sessions.end.label', { device })} onClick={() => void end(id)}>
                    {t('sessions.end')}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </ListState>
      <p role="status" className={styles.wrong}>
        {said}
      </p>
      <div>
        <Confirm
          trigger={t('sessions.all')}
          title={t('sessions.all.title')}
          body={t('sessions.all.body')}
          confirm={t('sessions.all')}
          onConfirm={async () => {
            await endAllSessions();
            onEnded();
          }}
        />
      </div>
    </Panel>
  );
}
