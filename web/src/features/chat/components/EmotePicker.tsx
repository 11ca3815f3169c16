import { Popover } from '@base-ui/react/popover';
import { Smile } from 'lucide-react';
import { useState } from 'react';
import { t } from '@/text/t';
import { useRoomEmotes } from '../hooks/useEmotes';
import { UNICODE } from '../model/emotes';
import styles from './EmotePicker.module.css';

/** Emotes of the room and of Unicode to choose from; `onPick` gets what is to be written. */
export function EmotePicker({ onPick }: { readonly onPick: (text: string) => void }) {
  const [open, setOpen] = useState(false);
  const [sought, setSought] = useState('');
  const emotes = useRoomEmotes();
  const wanted = sought.trim().toLowerCase();
  const own = [...emotes.values()].filter(({ name }) => name.toLowerCase().includes(wanted));
  const unicode = UNICODE.filter(([, name]) => name.includes(wanted));
  const pick = (text: string) => {
    onPick(text);
    setOpen(false);
  };
  return (
    <Popover.Root
      open={open}
      onOpenChange={(next) => {
        setOpen(next);
        setSought('');
      }}
    >
      <Popover.Trigger className={styles.trigger} aria-label={t('chat.emotes')} title={t('chat.emotes')} data-testid="chat-emotes">
        <Smile size={20} aria-hidden="true" />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner side="top" align="end" sideOffset={8} collisionPadding={8} className={styles.positioner}>
          <Popover.Popup className={styles.popup} aria-label={t('chat.emotes')}>
            <input
              type="search"
              className={styles.search}
              value={sought}
              placeholder={t('chat.emotes.search')}
              aria-label={t('chat.emotes.search')}
              onChange={(event) => setSought(event.target.value)}
            />
            <div className={styles.groups}>
              {own.length > 0 && (
                <section aria-label={t('chat.emotes.room')}>
                  <h3 className={styles.heading}>{t('chat.emotes.room')}</h3>
                  <div className={styles.grid}>
                    {own.map(({ name, url }) => (
                      <button key={name} type="button" className={styles.emote} aria-label={`:${name}:`} title={`:${name}:`} onClick={() => pick(`:${name}:`)}>
                        <img src={url} alt="" draggable={false} />
                      </button>
                    ))}
                  </div>
                </section>
              )}
              {unicode.length > 0 && (
                <section aria-label={t('chat.emotes.unicode')}>
                  <h3 className={styles.heading}>{t('chat.emotes.unicode')}</h3>
                  <div className={styles.grid}>
                    {unicode.map(([text, name]) => (
                      <button key={name} type="button" className={styles.emote} aria-label={name.replaceAll('_', ' ')} title={name.replaceAll('_', ' ')} onClick={() => pick(text)}>
                        {text}
                      </button>
                    ))}
                  </div>
                </section>
              )}
              {own.length + unicode.length === 0 && <p className={styles.none}>{t('chat.emotes.none')}</p>}
            </div>
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}
