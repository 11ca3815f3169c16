import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { BanList } from '@/components/BanList';
import { t } from '@/text/t';
import { banFromSite, siteBans, liftSiteBan } from '../api/admin';

/** Who may say nothing in any chat of the site. */
export function SiteBans() {
  const { data, isError, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(siteBans());
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: siteBans().queryKey });
  return (
    <BanList
      title={t('bans.site.title')}
      hint={t('bans.site.hint')}
      list={{ data: data?.pages.flatMap((page) => page.items), isError, refetch }}
      more={hasNextPage ? () => void fetchNextPage() : null}
      onBan={async (person, reason) => {
        await banFromSite(person, reason);
        await refresh();
      }}
      onLift={async (person) => {
        await liftSiteBan(person);
        await refresh();
      }}
    />
  );
}
