import { useSearchParams } from 'react-router';
import { SEARCH_MAX } from '@/api/search';
import { Results } from '@/features/search/components/Results';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';

/** What is found for `?q=`. */
export function SearchPage() {
  const [params] = useSearchParams();
  const q = (params.get('q') ?? '').trim().slice(0, SEARCH_MAX);
  useTitle(q === '' ? t('search.title') : t('search.found', { q }));
  return <Results q={q} />;
}
