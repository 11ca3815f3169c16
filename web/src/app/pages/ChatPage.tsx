import { useQuery } from '@tanstack/react-query';
import { me } from '@/api/me';
import { chatOf } from '@/features/chat/api/chat';
import { ChatPanel } from '@/features/chat/components/ChatPanel';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import styles from './ChatPage.module.css';
import { NotFoundPage } from './NotFoundPage';

/** The chat alone, for a window of its own and for docks. */
export function ChatPage({ channel }: { readonly channel: string }) {
  useTitle(t('chat.of', { channel }));
  const { data: person } = useQuery(me());
  const { data: room } = useQuery({ ...chatOf(channel), refetchInterval: ({ state }) => (state.data === undefined ? 5_000 : false) });
  if (room === null) {
    return (
      <main className={styles.missing}>
        <NotFoundPage />
      </main>
    );
  }
  return (
    <main className={styles.page}>
      {room !== undefined && person !== undefined && (
        <ChatPanel key={`${channel} ${person?.id ?? ''}`} channel={channel} />
      )}
      {room === undefined && (
        <p className={styles.loading} role="status">
          {t('chat.connecting')}
        </p>
      )}
    </main>
  );
}
