import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Confirm } from '@/components/Confirm';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { emotesOf, putEmote, removeEmote, type Emote } from '../api/emotes';
import { Loaded } from './Loaded';
import styles from './Manage.module.css';

interface Props {
  readonly channel: string;
  /** Only the owner changes them. */
  readonly owns: boolean;
}

/** The emotes of the channel; those of the site are shown beside them. */
export function ManageEmotes({ channel, owns }: Props) {
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: emotesOf(channel).queryKey });
  return (
    <Loaded query={useQuery(emotesOf(channel))}>
      {({ channel: own, site }) => (
        <>
          <section className={styles.section}>
            <h3 className={styles.heading}>{t('chat.emotes.own')}</h3>
            {own.length === 0 && <p className={styles.hint}>{t('chat.emotes.own.none')}</p>}
            <ul className={rows.rows} data-testid="chat-own-emotes">
              {own.map((emote) => (
                <li key={emote.name} className={rows.row}>
                  <Picture emote={emote} />
                  <div className={rows.about}>
                    <strong>:{emote.name}:</strong>
                    {emote.animated && <span>{t('chat.emotes.animated')}</span>}
                  </div>
                  {owns && (
                    <Confirm
                      trigger={t('chat.emotes.remove')}
                      triggerLabel={t('chat.emotes.remove.label', { name: emote.name })}
                      title={t('chat.emotes.remove.title', { name: emote.name })}
                      body={t('chat.emotes.remove.body')}
                      confirm={t('chat.emotes.remove')}
                      onConfirm={async () => {
                        await removeEmote(channel, emote.name);
                        await refresh();
                      }}
                    />
                  )}
                </li>
              ))}
            </ul>
            {owns && (
              <Form
                submit={t('chat.emotes.add')}
                clears
                onSubmit={async (data) => {
                  const file = data.get('picture');
                  if (file instanceof File) await putEmote(channel, entered(data, 'name').trim().replace(/^:|:$/g, ''), file);
                  await refresh();
                }}
              >
                <div className={styles.pair}>
                  <TextField
                    name="name"
                    label={t('chat.emotes.name')}
                    hint={t('chat.emotes.name.hint')}
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
                    label={t('chat.emotes.picture')}
                    hint={t('chat.emotes.picture.hint')}
                    required
                  />
                </div>
              </Form>
            )}
          </section>
          {site.length > 0 && (
            <section className={styles.section}>
              <h3 className={styles.heading}>{t('chat.emotes.site')}</h3>
              <ul className={styles.pictures}>
                {site.map((emote) => (
                  <li key={emote.name} title={`:${emote.name}:`}>
                    <Picture emote={emote} />
                    <span>:{emote.name}:</span>
                  </li>
                ))}
              </ul>
            </section>
          )}
        </>
      )}
    </Loaded>
  );
}

function Picture({ emote }: { readonly emote: Emote }) {
  return <img className={styles.picture} src={emote.url} alt="" draggable={false} />;
}
