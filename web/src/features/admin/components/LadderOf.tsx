import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { channelNamed, type Channel } from '@/api/channels';
import { NameField } from '@/components/Field';
import { Form } from '@/components/Form';
import { LadderForm } from '@/components/LadderForm';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { audit } from '../api/admin';

/** Finds a channel and has more or fewer rungs of it made. */
export function LadderOf() {
  const [found, setFound] = useState<Channel | null | undefined>(undefined);
  const queries = useQueryClient();
  return (
    <Panel title={t('ladder.admin.title')} hint={t('ladder.admin.hint')}>
      <Form
        submit={t('ladder.admin.find')}
        onSubmit={async (data) => {
          setFound(undefined);
          const name = entered(data, 'channel').trim().toLowerCase();
          setFound(await queries.query(channelNamed(name)));
        }}
      >
        <NameField name="channel" label={t('ladder.admin.channel')} />
      </Form>
      {found === null && <p role="alert">{t('ladder.admin.none')}</p>}
      {found?.ladder && (
        <>
          <p>
            <strong>{found.name}</strong>
          </p>
          <LadderForm
            key={found.id}
            name={found.name}
            ladder={found.ladder}
            onSaved={async (channel) => {
              setFound(channel);
              queries.setQueryData(channelNamed(channel.name).queryKey, channel);
              await queries.invalidateQueries({ queryKey: audit().queryKey });
            }}
          />
        </>
      )}
    </Panel>
  );
}
