import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from './client';

/** What this site can do for who is not signed in. */
export const signInOptions = () =>
  queryOptions({
    queryKey: ['auth', 'options'],
    queryFn: () => unwrap(api.GET('/api/v1/auth/options')),
    staleTime: Infinity,
  });
