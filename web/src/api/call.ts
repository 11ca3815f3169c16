import { errorOf, ApiError } from './client';
import { fetchInSession } from './session';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * Sends one request to the API and reads its answer, `undefined` where the answer has no body.
 *
 * @throws ApiError with the server's sentence, or with status 0 if there was no answer.
 */
export async function call<T = undefined>(method: Method, path: string, body?: unknown): Promise<T> {
  const raw = body instanceof Blob;
  const request = new Request(new URL(path, window.location.origin), {
    method,
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': raw ? body.type : 'application/json' }),
    },
    ...(body !== undefined && { body: raw ? body : JSON.stringify(body) }),
  });
  let response;
  try {
    response = await fetchInSession(request);
  } catch (cause) {
    throw new ApiError(0, 'the server cannot be reached', { cause });
  }
  const text = await response.text();
  const answer: unknown = /json/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : undefined;
  if (!response.ok) throw errorOf(response, answer);
  return answer as T;
}

/** A page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}
