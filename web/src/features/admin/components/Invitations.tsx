import { useState } from 'react';
import { CopyField } from '@/components/CopyField';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { t } from '@/text/t';
import { makeInvitation } from '../api/admin';

/** Makes links with which somebody can register. */
export function Invitations() {
  const [link, setLink] = useState<string | null>(null);
  return (
    <Panel title={t('admin.invite.title')} hint={t('admin.invite.hint')}>
      <Form submit={t('admin.invite.make')} onSubmit={async () => setLink((await makeInvitation()).url)} />
      {link !== null && (
        <div role="status">
          <p>{t('admin.invite.made')}</p>
          <CopyField label={t('admin.link')} value={link} />
        </div>
      )}
    </Panel>
  );
}
