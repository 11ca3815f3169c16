import { useQuery, useQueryClient } from '@tanstack/react-query';
import { TextArea } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { changeRoom, managed } from '../api/manage';
import { termsOf } from '../model/terms';
import { Loaded } from './Loaded';

/** What nobody may say in the room. */
export function ManageWords({ channel }: { readonly channel: string }) {
  const queries = useQueryClient();
  return (
    <Loaded query={useQuery(managed(channel))}>
      {(room) => (
        <Form
          submit={t('chat.room.save')}
          done={t('chat.mod.done.room')}
          onSubmit={async (data) => {
            const changed = await changeRoom(channel, { blocked_terms: termsOf(entered(data, 'blocked_terms')) });
            queries.setQueryData(managed(channel).queryKey, changed);
          }}
        >
          <TextArea
            name="blocked_terms"
            label={t('chat.words.label')}
            hint={t('chat.words.hint')}
            defaultValue={(room.blocked_terms ?? []).join('\n')}
            rows={12}
            spellCheck={false}
            autoComplete="off"
          />
        </Form>
      )}
    </Loaded>
  );
}
