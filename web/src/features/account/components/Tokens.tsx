import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Me } from '@/api/me';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { CopyField } from '@/components/CopyField';
import { CheckField, TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { ago } from '@/lib/format';
import { t } from '@/text/t';
import { apiTokens, createToken, revokeToken, type NewApiToken } from '../api/account';
import styles from './Account.module.css';

const SCOPES = ['read', 'channels', 'chat', 'admin'] as const;

/** Tokens for a person's own programs. */
export function Tokens({ person }: { readonly person: Me }) {
  const list = useQuery(apiTokens());
  const queries = useQueryClient();
  const [fresh, setFresh] = useState<NewApiToken | null>(null);
  const refresh = () => queries.invalidateQueries({ queryKey: apiTokens().queryKey });
  return (
    <Panel
      id="tokens"
      title={t('tokens.title')}
      hint={
        <>
          {t('tokens.hint')}{' '}
          <Link to="/api/docs" className={styles.docs}>
            {t('tokens.docs')}
          </Link>
        </>
      }
    >
      {fresh !== null && (
        <div className={styles.once} role="status">
          <p>{t('tokens.once')}</p>
          <CopyField label={t('tokens.secret')} value={fresh.secret} />
          <Button look="quiet" onClick={() => setFresh(null)}>
            {t('keys.secret.done')}
          </Button>
        </div>
      )}
      <ListState query={list} empty={t('tokens.none')}>
        {(tokens) => (
          <ul className={rows.rows}>
            {tokens.map(({ id, name, hint, scopes, last_used_at }) => (
              <li key={id} className={rows.row}>
                <div className={rows.about}>
                  <strong>{name}</strong>
                  <span>
                    {[
                      t('keys.ends', { hint }),
                      scopes.join(', '),
                      last_used_at ? t('keys.used', { when: ago(last_used_at) }) : t('keys.unused'),
                    ].join(' · ')}
                  </span>
                </div>
                <Confirm
                  trigger={t('keys.revoke')}
                  triggerLabel={t('tokens.revoke.label', { name })}
                  title={t('keys.revoke.title', { name })}
                  body={t('tokens.revoke.body')}
                  confirm={t('keys.revoke')}
                  onConfirm={async () => {
                    await revokeToken(id);
                    await refresh();
                  }}
                />
              </li>
            ))}
          </ul>
        )}
      </ListState>
      <Form
        submit={t('tokens.create')}
        clears
        onSubmit={async (data) => {
          const scopes = SCOPES.filter((scope) => data.has(`scope-${scope}`));
          setFresh(await createToken(entered(data, 'name').trim(), scopes));
          await refresh();
        }}
      >
        <TextField name="name" label={t('tokens.name')} autoComplete="off" maxLength={50} required />
        <fieldset className={styles.scopes}>
          <legend>{t('tokens.scopes')}</legend>
          {SCOPES.filter((scope) => scope !== 'admin' || person.role === 'admin').map((scope) => (
            <CheckField key={scope} name={`scope-${scope}`} label={t(`tokens.scope.${scope}`)} defaultChecked={scope === 'read'} />
          ))}
        </fieldset>
      </Form>
    </Panel>
  );
}
