import { LiveGrid } from '@/features/browse/components/LiveGrid';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { Upcoming } from '../Upcoming';

export function HomePage() {
  useTitle(t('browse.title'));
  return (
    <>
      <LiveGrid />
      <Upcoming />
    </>
  );
}
