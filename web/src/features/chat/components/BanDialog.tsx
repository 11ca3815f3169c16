import { Dialog } from '@base-ui/react/dialog';
import { Button } from '@/components/Button';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { silence } from '../api/chat';
import type { Author } from '../engine/protocol';
import styles from './BanDialog.module.css';

interface Props {
  readonly channel: string;
  /** Who is to be banned; closed for nobody. */
  readonly author: Author | null;
  readonly onClose: () => void;
  readonly onBanned: (author: Author) => void;
}

/** Asks for the reason, then bans. */
export function BanDialog({ channel, author, onClose, onBanned }: Props) {
  return (
    <Dialog.Root open={author !== null} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        {author !== null && (
          <Dialog.Popup className={styles.dialog}>
            <Dialog.Title className={styles.title}>{t('chat.mod.ban.title', { name: author.display_name })}</Dialog.Title>
            <Dialog.Description className={styles.body}>
              {t('chat.mod.ban.body', { name: author.display_name })}
            </Dialog.Description>
            <Form
              submit={t('chat.mod.ban.do')}
              look="danger"
              onSubmit={async (data) => {
                await silence(channel, author.name, { reason: entered(data, 'reason').trim() });
                onBanned(author);
                onClose();
              }}
              aside={
                <Button look="quiet" onClick={onClose}>
                  {t('common.cancel')}
                </Button>
              }
            >
              <TextField
                name="reason"
                label={t('chat.mod.ban.reason')}
                hint={t('chat.mod.ban.reason.hint')}
                maxLength={200}
                autoComplete="off"
              />
            </Form>
          </Dialog.Popup>
        )}
      </Dialog.Portal>
    </Dialog.Root>
  );
}
