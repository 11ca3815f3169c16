import createClient from 'openapi-fetch';
import { fetchInSession } from './session';
import type { paths } from './schema';

/** The REST API of the server that served this page, as the person who is signed in. */
export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: fetchInSession });

/** What is wrong with one field of a request. */
export interface FieldProblem {
  /** JSON pointer into the body (`/name`), or the name of a query parameter. */
  readonly pointer: string;
  /** The sentence for the person. */
  readonly detail: string;
}

/** A request that the server answered with an error, or that never reached it (`status` 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** Stable name of the kind of error, `bad-password`; empty if the answer was no problem document. */
  readonly kind: string;
  readonly fields: readonly FieldProblem[];
  /** Seconds to wait before it makes sense to ask again. */
  readonly retryAfter: number | null;

  constructor(
    status: number,
    message: string,
    { kind = '', fields = [], retryAfter = null, ...options }: ErrorOptions & Partial<Pick<ApiError, 'kind' | 'fields' | 'retryAfter'>> = {},
  ) {
    super(message, options);
    this.status = status;
    this.kind = kind;
    this.fields = fields;
    this.retryAfter = retryAfter;
  }
}

type Answer<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

/**
 * Unwraps an answer of {@link api}.
 *
 * @throws ApiError with the server's sentence, or with status 0 if there was no answer.
 */
export async function unwrap<T>(answer: Answer<T>): Promise<T> {
  const { data, response } = await settled(answer);
  if (data === undefined) throw new ApiError(response.status, response.statusText);
  return data;
}

/** Waits for an answer of {@link api} whose body says nothing, as 204. Throws as {@link unwrap} does. */
export async function done(answer: Answer<unknown>): Promise<void> {
  await settled(answer);
}

/** The answer, or `null` where there is no such thing (404). */
export async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function settled<T>(answer: Answer<T>) {
  let result;
  try {
    result = await answer;
  } catch (cause) {
    throw new ApiError(0, 'the server cannot be reached', { cause });
  }
  if (!result.response.ok) throw errorOf(result.response, result.error);
  return result;
}

/** Reads an `application/problem+json` body (RFC 9457). */
export function errorOf(response: Response, body: unknown): ApiError {
  const problem = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const sentence = problem.detail ?? problem.title;
  const wait = Number(response.headers.get('retry-after'));
  return new ApiError(response.status, typeof sentence === 'string' ? sentence : response.statusText, {
    kind: typeof problem.type === 'string' ? (problem.type.split('/').at(-1) ?? '') : '',
    fields: Array.isArray(problem.errors) ? problem.errors.filter(isFieldProblem) : [],
    retryAfter: wait > 0 ? wait : null,
  });
}

function isFieldProblem(value: unknown): value is FieldProblem {
  if (typeof value !== 'object' || value === null) return false;
  const { pointer, detail } = value as Record<string, unknown>;
  return typeof pointer === 'string' && typeof detail === 'string';
}
