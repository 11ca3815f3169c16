import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { CopyField } from '@/components/CopyField';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import { Servers } from '@/components/Servers';
import { entered } from '@/lib/entered';
import { ago } from '@/lib/format';
import { t } from '@/text/t';
import { createKey, revokeKey, rotateKey, streamKeys, type NewStreamKey, type StreamKey } from '../api/studio';
import styles from './Connect.module.css';

/** What goes into OBS: the server, and the stream keys of the channel. */
export function Connect({ channel }: { readonly channel: string }) {
  const keys = useQuery(streamKeys(channel));
  const queries = useQueryClient();
  const [fresh, setFresh] = useState<NewStreamKey | null>(null);

  const show = async (key: NewStreamKey) => {
    setFresh(key);
    await queries.invalidateQueries({ queryKey: streamKeys(channel).queryKey });
  };

  return (
    <Panel title={t('connect.title')} hint={t('connect.hint')}>
      <Servers label={t('connect.server')} />
      {fresh !== null && (
        <div className={styles.fresh} role="status" data-testid="fresh-key">
          <p>{t('keys.once')}</p>
          <CopyField label={t('keys.secret')} value={fresh.secret} />
          <Button look="quiet" onClick={() => setFresh(null)}>
            {t('keys.secret.done')}
          </Button>
        </div>
      )}
      <h3 className={styles.title}>{t('keys.title')}</h3>
      <p className={styles.hint}>{t('keys.hint')}</p>
      <ListState query={keys} empty={t('keys.none')}>
        {(list) => (
          <ul className={styles.keys}>
            {list.map((key) => (
              <Key key={key.id} channel={channel} stored={key} onRotated={show} />
            ))}
          </ul>
        )}
      </ListState>
      <Form
        className={styles.create}
        submit={t('keys.create')}
        clears
        onSubmit={async (data) => show(await createKey(channel, entered(data, 'name').trim() || t('keys.unnamed')))}
      >
        <TextField
          name="name"
          label={t('keys.name')}
          placeholder={t('keys.name.placeholder')}
          autoComplete="off"
          maxLength={50}
        />
      </Form>
    </Panel>
  );
}

interface KeyProps {
  readonly channel: string;
  readonly stored: StreamKey;
  readonly onRotated: (key: NewStreamKey) => Promise<void>;
}

function Key({ channel, stored: { id, name, hint, last_used_at }, onRotated }: KeyProps) {
  const queries = useQueryClient();
  return (
    <li className={styles.key}>
      <div className={styles.about}>
        <strong>{name}</strong>
        <span>
          {t('keys.ends', { hint })} · {last_used_at ? t('keys.used', { when: ago(last_used_at) }) : t('keys.unused')}
        </span>
      </div>
      <div className={styles.deeds}>
        <Confirm
          trigger={t('keys.rotate')}
          triggerLabel={t('keys.rotate.label', { name })}
          title={t('keys.rotate.title', { name })}
          body={t('keys.rotate.body')}
          confirm={t('keys.rotate')}
          onConfirm={async () => onRotated(await rotateKey(channel, id))}
        />
        <Confirm
          trigger={t('keys.revoke')}
          triggerLabel={t('keys.revoke.label', { name })}
          title={t('keys.revoke.title', { name })}
          body={t('keys.revoke.body')}
          confirm={t('keys.revoke')}
          onConfirm={async () => {
            await revokeKey(channel, id);
            await queries.invalidateQueries({ queryKey: streamKeys(channel).queryKey });
          }}
        />
      </div>
    </li>
  );
}
