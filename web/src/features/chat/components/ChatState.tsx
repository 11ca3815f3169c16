import { WifiOff } from 'lucide-react';
import { Button } from '@/components/Button';
import { useOnline } from '@/lib/useOnline';
import { t } from '@/text/t';
import type { Chat, ChatView } from '../engine/chat';
import { CLOSE } from '../engine/protocol';
import styles from './ChatState.module.css';

/** Tries without a good connection after which the chat counts as unavailable. */
const PATIENCE = 4;

interface Props {
  readonly chat: Chat;
  readonly view: ChatView;
}

/** How the connection stands, where that is worth a word. What was said stays in sight. */
export function ChatState({ chat, view }: Props) {
  const online = useOnline();
  const { phase, welcomed, tries } = view;
  if (phase.kind === 'open' || phase.kind === 'idle') return null;
  if (phase.kind === 'closed') {
    const old = phase.code === CLOSE.wrongVersion;
    return (
      <div className={`${styles.state} ${styles.closed}`} role="alert" data-testid="chat-state">
        <p>{old ? t('chat.closed.version') : phase.reason || t('chat.closed')}</p>
        {old ? (
          <Button look="quiet" onClick={() => window.location.reload()}>
            {t('chat.reload')}
          </Button>
        ) : (
          <Button look="quiet" onClick={() => chat.start()}>
            {t('common.retry')}
          </Button>
        )}
      </div>
    );
  }
  return (
    <p className={styles.state} role="status" data-testid="chat-state">
      {online ? <span className={styles.pulse} aria-hidden="true" /> : <WifiOff size={16} aria-hidden="true" />}
      {sentenceOf(online, welcomed, tries)}
    </p>
  );
}

function sentenceOf(online: boolean, welcomed: boolean, tries: number): string {
  if (!online) return t('chat.reconnecting.offline');
  if (tries >= PATIENCE) return t('chat.unavailable');
  return welcomed ? t('chat.reconnecting') : t('chat.connecting');
}
