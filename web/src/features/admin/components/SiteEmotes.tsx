import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Confirm } from '@/components/Confirm';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { putSiteEmote, removeSiteEmote, siteEmotes } from '../api/admin';
import styles from './SiteEmotes.module.css';

/** The emotes that every room of chat has. */
export function SiteEmotes() {
  const query = useQuery(siteEmotes());
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: siteEmotes().queryKey });
  return (
    <Panel title={t('admin.emotes.title')} hint={t('admin.emotes.hint')}>
      <ListState query={query} empty={t('admin.emotes.none')}>
        {(emotes) => (
          <ul className={rows.rows} data-testid="site-emotes">
            {emotes.map(({ name, url }) => (
              <li key={name} className={rows.row}>
                <img className={styles.picture} src={url} alt="" draggable={false} />
                <div className={rows.about}>
                  <strong>:{name}:</strong>
                </div>
                <Confirm
                  trigger={t('admin.emotes.remove')}
                  triggerLabel={t('admin.emotes.remove.label', { name })}
                  title={t('admin.emotes.remove.title', { name })}
                  body={t('admin.emotes.remove.body')}
                  confirm={t('admin.emotes.remove')}
                  onConfirm={async () => {
                    await removeSiteEmote(name);
                    await refresh();
                  }}
                />
              </li>
            ))}
          </ul>
        )}
      </ListState>
      <Form
        submit={t('admin.emotes.add')}
        clears
        onSubmit={async (data) => {
          const picture = data.get('picture');
          if (picture instanceof File) await putSiteEmote(entered(data, 'emote').trim().replace(/^:|:$/g, ''), picture);
          await refresh();
        }}
      >
        <TextField
          name="emote"
          label={t('admin.emotes.name')}
          hint={t('admin.emotes.name.hint')}
          maxLength={34}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          required
        />
        <TextField
          name="picture"
          type="file"
          accept="image/png,image/webp,image/gif"
          label={t('admin.emotes.picture')}
          required
        />
      </Form>
    </Panel>
  );
}
