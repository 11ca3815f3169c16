import { queryOptions } from '@tanstack/react-query';
import { readReference } from '../model/reference';

/** The description that this server gives of itself. */
export const description = () =>
  queryOptions({
    queryKey: ['api-description'],
    queryFn: async ({ signal }) => {
      const answer = await fetch('/api/openapi.json', { signal });
      if (!answer.ok) throw new Error(`the description came with status ${answer.status}`);
      return readReference(await answer.json(), window.location.origin);
    },
    staleTime: Infinity,
  });
