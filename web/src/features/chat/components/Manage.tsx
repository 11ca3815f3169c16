import { Dialog } from '@base-ui/react/dialog';
import { Tabs } from '@base-ui/react/tabs';
import { ShieldCheck, X } from 'lucide-react';
import { t } from '@/text/t';
import type { You } from '../engine/protocol';
import type { Outcome } from '../hooks/useModeration';
import { ManageEmotes } from './ManageEmotes';
import { ManagePeople } from './ManagePeople';
import { ManagePoll } from './ManagePoll';
import { ManageRules } from './ManageRules';
import { ManageSearch } from './ManageSearch';
import { ManageWords } from './ManageWords';
import panel from './ChatPanel.module.css';
import styles from './Manage.module.css';

interface Props {
  readonly channel: string;
  readonly you: You;
  readonly tell: (outcome: Outcome) => void;
  /** Whose messages are looked for at once; `undefined` as long as the dialog is opened by its button. */
  readonly author?: string | undefined;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
}

/** Everything that keeps a room in order beside the messages themselves. For who moderates. */
export function Manage({ channel, you, tell, author, open, onOpen }: Props) {
  const owns = you.badges.includes('broadcaster') || you.badges.includes('admin');
  return (
    <Dialog.Root open={open} onOpenChange={onOpen}>
      <Dialog.Trigger className={panel.tool} aria-label={t('chat.manage')} title={t('chat.manage')} data-testid="chat-manage">
        <ShieldCheck size={18} aria-hidden="true" />
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup className={styles.dialog}>
          <header className={styles.header}>
            <Dialog.Title className={styles.title}>{t('chat.manage')}</Dialog.Title>
            <Dialog.Close className={panel.tool} aria-label={t('common.close')}>
              <X size={18} aria-hidden="true" />
            </Dialog.Close>
          </header>
          <Tabs.Root className={styles.tabs} defaultValue={author === undefined ? 'rules' : 'search'}>
            <Tabs.List className={styles.list}>
              <Tabs.Tab className={styles.tab} value="rules">
                {t('chat.manage.rules')}
              </Tabs.Tab>
              <Tabs.Tab className={styles.tab} value="words">
                {t('chat.manage.words')}
              </Tabs.Tab>
              <Tabs.Tab className={styles.tab} value="people">
                {t('chat.manage.people')}
              </Tabs.Tab>
              <Tabs.Tab className={styles.tab} value="poll">
                {t('chat.poll')}
              </Tabs.Tab>
              <Tabs.Tab className={styles.tab} value="emotes">
                {t('chat.manage.emotes')}
              </Tabs.Tab>
              <Tabs.Tab className={styles.tab} value="search">
                {t('chat.manage.search')}
              </Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel className={styles.panel} value="rules">
              <ManageRules channel={channel} tell={tell} />
            </Tabs.Panel>
            <Tabs.Panel className={styles.panel} value="words">
              <ManageWords channel={channel} />
            </Tabs.Panel>
            <Tabs.Panel className={styles.panel} value="people">
              <ManagePeople channel={channel} owns={owns} />
            </Tabs.Panel>
            <Tabs.Panel className={styles.panel} value="poll">
              <ManagePoll channel={channel} onOpened={() => onOpen(false)} />
            </Tabs.Panel>
            <Tabs.Panel className={styles.panel} value="emotes">
              <ManageEmotes channel={channel} owns={owns} />
            </Tabs.Panel>
            <Tabs.Panel className={styles.panel} value="search">
              <ManageSearch channel={channel} author={author ?? ''} />
            </Tabs.Panel>
          </Tabs.Root>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
