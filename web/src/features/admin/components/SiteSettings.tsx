import { useQuery, useQueryClient } from '@tanstack/react-query';
import { site } from '@/api/site';
import { SelectField, TextArea, TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { LANGUAGES } from '@/lib/languages';
import { t } from '@/text/t';
import { audit, editSite, siteHistory, siteSettings, type SiteSettings as Settings } from '../api/admin';

const REGISTRATION = ['open', 'invite', 'closed'] as const;
const STREAMING = ['everyone', 'streamers'] as const;

/** What the site says of itself and whom it lets in. It holds at once, without a restart. */
export function SiteSettings() {
  const { data, isError, refetch } = useQuery(siteSettings());
  return (
    <Panel title={t('site.title')} hint={t('site.hint')}>
      <ListState query={{ data: data && [data], isError, refetch }} empty="">
        {/* After an undo the form starts afresh. */}
        {([settings]) => settings && <Fields key={settings.version} settings={settings} />}
      </ListState>
    </Panel>
  );
}

function Fields({ settings }: { readonly settings: Settings }) {
  const queries = useQueryClient();
  const { values, version } = settings;
  const save = async (data: FormData) => {
    const registration = REGISTRATION.find((one) => one === entered(data, 'registration'));
    const streaming = STREAMING.find((one) => one === entered(data, 'streaming'));
    const saved = await editSite({
      version,
      name: entered(data, 'name'),
      description: entered(data, 'description'),
      // What nobody touches goes on following the configuration.
      ...(registration !== undefined && registration !== settings.registration && { registration }),
      ...(streaming !== undefined && streaming !== settings.streaming && { streaming }),
      language: entered(data, 'language'),
      categories: entered(data, 'categories')
        .split('\n')
        .map((category) => category.trim())
        .filter(Boolean),
      rules: entered(data, 'rules'),
      rules_url: entered(data, 'rules_url'),
      contact: entered(data, 'contact'),
    });
    queries.setQueryData(siteSettings().queryKey, saved);
    for (const { queryKey } of [site(), siteHistory(), audit()]) await queries.invalidateQueries({ queryKey });
  };
  return (
    <Form submit={t('details.save')} done={t('form.saved')} onSubmit={save} label={t('site.title')}>
      <TextField name="name" label={t('site.name')} defaultValue={values.name} maxLength={50} required />
      <TextField
        name="description"
        label={t('site.description')}
        hint={t('site.description.hint')}
        defaultValue={values.description}
        maxLength={500}
      />
      <SelectField name="registration" label={t('site.registration')} defaultValue={settings.registration}>
        {REGISTRATION.map((one) => (
          <option key={one} value={one}>
            {t(`site.registration.${one}`)}
          </option>
        ))}
      </SelectField>
      <SelectField
        name="streaming"
        label={t('site.streaming')}
        hint={t('site.streaming.hint')}
        defaultValue={settings.streaming}
      >
        {STREAMING.map((one) => (
          <option key={one} value={one}>
            {t(`site.streaming.${one}`)}
          </option>
        ))}
      </SelectField>
      <SelectField
        name="language"
        label={t('site.language')}
        hint={t('site.language.hint')}
        defaultValue={values.language}
      >
        <option value="">{t('details.language.none')}</option>
        {values.language !== '' && !LANGUAGES.some(([tag]) => tag === values.language) && (
          <option value={values.language}>{values.language}</option>
        )}
        {LANGUAGES.map(([tag, name]) => (
          <option key={tag} value={tag} lang={tag}>
            {name}
          </option>
        ))}
      </SelectField>
      <TextArea
        name="categories"
        label={t('site.categories')}
        hint={t('site.categories.hint')}
        defaultValue={values.categories.join('\n')}
        rows={5}
      />
      <TextArea
        name="rules"
        label={t('site.rules')}
        hint={t('site.rules.hint')}
        defaultValue={values.rules}
        maxLength={20_000}
        rows={8}
      />
      <TextField
        name="rules_url"
        type="url"
        label={t('site.rulesUrl')}
        defaultValue={values.rules_url}
        placeholder="https://example.org/terms"
        maxLength={500}
      />
      <TextField
        name="contact"
        label={t('site.contact')}
        hint={t('site.contact.hint')}
        defaultValue={values.contact}
        maxLength={200}
      />
    </Form>
  );
}
