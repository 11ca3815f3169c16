import { useQueryClient } from '@tanstack/react-query';
import { Confirm } from '@/components/Confirm';
import { Panel } from '@/components/Panel';
import { t } from '@/text/t';
import { deleteChannel, myChannels } from '../api/studio';

interface Props {
  readonly channel: string;
  readonly onDeleted: () => void;
}

/** Deletes a channel for good. */
export function DeleteChannel({ channel, onDeleted }: Props) {
  const queries = useQueryClient();
  return (
    <Panel title={t('channel.delete.title')} hint={t('channel.delete.hint')}>
      <div>
        <Confirm
          trigger={t('channel.delete.action', { name: channel })}
          title={t('channel.delete.confirm.title', { name: channel })}
          body={t('channel.delete.confirm.body')}
          confirm={t('channel.delete.confirm')}
          onConfirm={async () => {
            await deleteChannel(channel);
            onDeleted();
            await queries.invalidateQueries({ queryKey: myChannels().queryKey });
          }}
        />
      </div>
    </Panel>
  );
}
