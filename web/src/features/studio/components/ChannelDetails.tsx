import { useQueryClient } from '@tanstack/react-query';
import type { Channel, Playback } from '@/api/channels';
import { SelectField, TextArea, TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { LANGUAGES } from '@/lib/languages';
import { t } from '@/text/t';
import { editChannel } from '../api/studio';
import { CategoryField } from './CategoryField';

const PLAYBACK = ['public', 'unlisted', 'followers', 'private'] as const satisfies readonly Playback[];

/** What people read of the broadcast, and who may watch it. */
export function ChannelDetails({ channel }: { readonly channel: Channel }) {
  const queries = useQueryClient();
  return (
    <Panel title={t('details.title')}>
      <Form
        submit={t('details.save')}
        done={t('form.saved')}
        onSubmit={async (data) => {
          await editChannel(channel.name, {
            title: entered(data, 'title'),
            category: entered(data, 'category'),
            tags: entered(data, 'tags')
              .split(/[,\n]/)
              .map((tag) => tag.trim().replace(/^#/, ''))
              .filter(Boolean),
            language: entered(data, 'language'),
            description: entered(data, 'description'),
            playback: PLAYBACK.find((one) => one === entered(data, 'playback')) ?? 'public',
          });
          await queries.invalidateQueries({ queryKey: ['me', 'channels'] });
          await queries.invalidateQueries({ queryKey: ['channels', channel.name], exact: true });
        }}
      >
        <TextField name="title" label={t('details.name')} defaultValue={channel.title} maxLength={140} />
        <CategoryField value={channel.category} />
        <TextField
          name="tags"
          label={t('details.tags')}
          hint={t('details.tags.hint')}
          defaultValue={channel.tags.join(', ')}
        />
        <SelectField name="language" label={t('details.language')} defaultValue={channel.language}>
          <option value="">{t('details.language.none')}</option>
          {/* One that was set by a program may be missing in our list, and stays. */}
          {channel.language !== '' && !LANGUAGES.some(([tag]) => tag === channel.language) && (
            <option value={channel.language}>{channel.language}</option>
          )}
          {LANGUAGES.map(([tag, name]) => (
            <option key={tag} value={tag} lang={tag}>
              {name}
            </option>
          ))}
        </SelectField>
        <SelectField name="playback" label={t('details.playback')} defaultValue={channel.playback}>
          {PLAYBACK.map((policy) => (
            <option key={policy} value={policy}>
              {t(`details.playback.${policy}`)}
            </option>
          ))}
        </SelectField>
        <TextArea
          name="description"
          label={t('details.description')}
          defaultValue={channel.description}
          maxLength={2_000}
          rows={4}
        />
      </Form>
    </Panel>
  );
}
