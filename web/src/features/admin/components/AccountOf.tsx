import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Confirm } from '@/components/Confirm';
import { CopyField } from '@/components/CopyField';
import { NameField, SelectField } from '@/components/Field';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { date } from '@/lib/format';
import { t } from '@/text/t';
import { audit, editAccount, findAccount, makeResetLink, type Account } from '../api/admin';

const ROLES = ['viewer', 'streamer', 'admin'] as const;

/** Finds an account and changes what it may do. */
export function AccountOf() {
  const [account, setAccount] = useState<Account | null>(null);
  return (
    <Panel title={t('admin.person.title')} hint={t('admin.person.hint')}>
      <Form
        submit={t('admin.person.find')}
        onSubmit={async (data) => {
          setAccount(null);
          setAccount(await findAccount(entered(data, 'name').trim().toLowerCase()));
        }}
      >
        <NameField name="name" label={t('auth.name')} />
      </Form>
      {account !== null && <Powers key={account.id} account={account} onChanged={setAccount} />}
    </Panel>
  );
}

interface PowersProps {
  readonly account: Account;
  readonly onChanged: (account: Account) => void;
}

function Powers({ account, onChanged }: PowersProps) {
  const { name, role, banned, created_at } = account;
  const queries = useQueryClient();
  const [link, setLink] = useState<string | null>(null);
  const noted = () => queries.invalidateQueries({ queryKey: audit().queryKey });
  const change = async (edit: Parameters<typeof editAccount>[1]) => {
    onChanged(await editAccount(name, edit));
    await noted();
  };
  return (
    <>
      <p data-testid="account">
        <strong>{name}</strong> · {t('admin.person.since', { when: date(created_at) })}
        {banned && ` · ${t('admin.person.banned')}`}
      </p>
      <Form
        submit={t('admin.role.save')}
        done={t('admin.role.saved')}
        onSubmit={(data) => change({ role: ROLES.find((one) => one === entered(data, 'role')) ?? role })}
      >
        <SelectField name="role" label={t('admin.role')} defaultValue={role}>
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {t(`admin.role.${one}`)}
            </option>
          ))}
        </SelectField>
      </Form>
      {banned ? (
        <Form submit={t('admin.unban')} onSubmit={() => change({ banned: false })} />
      ) : (
        <div>
          <Confirm
            trigger={t('admin.ban')}
            title={t('admin.ban.title', { name })}
            body={t('admin.ban.body')}
            confirm={t('admin.ban')}
            onConfirm={() => change({ banned: true })}
          />
        </div>
      )}
      <Form
        submit={t('admin.reset')}
        onSubmit={async () => {
          setLink((await makeResetLink(name)).url);
          await noted();
        }}
      />
      {link !== null && (
        <div role="status">
          <p>{t('admin.reset.hint')}</p>
          <CopyField label={t('admin.link')} value={link} />
        </div>
      )}
    </>
  );
}
