import { queryOptions, useQuery } from '@tanstack/react-query';
import { t } from '@/text/t';
import { api, unwrap } from './client';
import type { components } from './schema';

/** What the owner says of this site, and where encoders publish to. */
export type Site = components['schemas']['SiteView'];

export const site = () =>
  queryOptions({
    queryKey: ['site'],
    queryFn: () => unwrap(api.GET('/api/v1/site')),
    staleTime: 60_000,
  });

/** What this site is called; our own name until the server has said. */
export function useSiteName(): string {
  return useQuery(site()).data?.name ?? t('app.name');
}
