import { useQueryClient } from '@tanstack/react-query';
import { NameField } from '@/components/Field';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { createChannel, myChannels } from '../api/studio';

interface Props {
  /** What the channel might be called. */
  readonly suggestion: string;
  readonly onCreated: (name: string) => void;
}

/** Makes a channel. */
export function CreateChannel({ suggestion, onCreated }: Props) {
  const queries = useQueryClient();
  return (
    <Panel title={t('studio.create.title')} hint={t('studio.create.body')}>
      <Form
        submit={t('studio.create.submit')}
        onSubmit={async (data) => {
          const channel = await createChannel(entered(data, 'name').trim().toLowerCase());
          await queries.invalidateQueries({ queryKey: myChannels().queryKey });
          onCreated(channel.name);
        }}
      >
        <NameField
          name="name"
          label={t('studio.create.name')}
          hint={t('studio.create.name.hint')}
          defaultValue={suggestion}
        />
      </Form>
    </Panel>
  );
}
