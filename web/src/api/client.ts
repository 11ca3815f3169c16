import createClient from 'openapi-fetch';
import type { paths } from './schema';

/** The REST API of the server that served this page. `fetch` is looked up per call, so that tests can replace it. */
export const api = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) => globalThis.fetch(request),
});

/** A request that the server answered with an error, or that never reached it (`status` 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/**
 * Unwraps an answer of {@link api}.
 *
 * @throws ApiError with the server's sentence, or with status 0 if there was no answer.
 */
export async function unwrap<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  let result;
  try {
    result = await answer;
  } catch (cause) {
    throw new ApiError(0, 'the server cannot be reached', { cause });
  }
  const { data, error, response } = result;
  if (data === undefined) throw new ApiError(response.status, sentenceOf(error) ?? response.statusText);
  return data;
}

/** Reads the sentence of an `application/problem+json` body (RFC 9457). */
function sentenceOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const problem = error as Record<string, unknown>;
  const sentence = problem.detail ?? problem.title;
  return typeof sentence === 'string' ? sentence : undefined;
}
