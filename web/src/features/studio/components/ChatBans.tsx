import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { BanList } from '@/components/BanList';
import { t } from '@/text/t';
import { banFromChats, chatBans, liftChatBan } from '../api/studio';

/** Who may say nothing in the chats of all one’s channels. */
export function ChatBans() {
  const { data, isError, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(chatBans());
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: chatBans().queryKey });
  return (
    <BanList
      title={t('bans.mine.title')}
      hint={t('bans.mine.hint')}
      list={{ data: data?.pages.flatMap((page) => page.items), isError, refetch }}
      more={hasNextPage ? () => void fetchNextPage() : null}
      onBan={async (person, reason) => {
        await banFromChats(person, reason);
        await refresh();
      }}
      onLift={async (person) => {
        await liftChatBan(person);
        await refresh();
      }}
    />
  );
}
