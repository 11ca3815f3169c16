import { Popover } from '@base-ui/react/popover';
import { Switch } from '@base-ui/react/switch';
import { Settings2 } from 'lucide-react';
import { t } from '@/text/t';
import panel from './ChatPanel.module.css';
import styles from './ChatSettings.module.css';

interface Props {
  readonly announce: boolean;
  readonly onAnnounce: (announce: boolean) => void;
}

/** What this page does with the chat. */
export function ChatSettings({ announce, onAnnounce }: Props) {
  return (
    <Popover.Root>
      <Popover.Trigger className={panel.tool} aria-label={t('chat.settings')} title={t('chat.settings')} data-testid="chat-settings">
        <Settings2 size={18} aria-hidden="true" />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner sideOffset={8} align="end" collisionPadding={12} className={styles.positioner}>
          <Popover.Popup className={styles.popup}>
            <Popover.Title className={styles.title}>{t('chat.settings')}</Popover.Title>
            <label className={styles.switchRow}>
              {t('chat.announce')}
              <Switch.Root checked={announce} onCheckedChange={onAnnounce} className={styles.switch}>
                <Switch.Thumb className={styles.thumb} />
              </Switch.Root>
            </label>
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}
