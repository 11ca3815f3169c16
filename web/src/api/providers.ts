import { queryOptions } from '@tanstack/react-query';
import { call } from './call';

/** A provider that lets people in, such as Google or the company's own. */
export interface Provider {
  readonly name: string;
  readonly label: string;
}

/** The providers that this site takes; none where there is no such route. */
export const providers = () =>
  queryOptions({
    queryKey: ['providers'],
    queryFn: async () => (await call<{ readonly items: readonly Provider[] }>('GET', '/api/v1/oauth/providers')).items,
    staleTime: Infinity,
  });

/** Where the browser goes to sign in with a provider; it comes back to `back`. */
export const providerUrl = (name: string, back: string) => `/oauth/${name}?back=${encodeURIComponent(back)}`;
