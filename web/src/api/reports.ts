import { api, done } from './client';
import type { components } from './schema';

type Input = components['schemas']['ReportInput'];

/** Why somebody reports, in the order in which they are offered. */
export const REASONS = [
  'spam',
  'harassment',
  'hate',
  'violence',
  'sexual',
  'copyright',
  'impersonation',
  'other',
] as const satisfies readonly components['schemas']['Reason'][];

/** What is reported. */
export interface Reported {
  readonly about: 'channel' | 'person';
  readonly name: string;
}

export const report = ({ about, name }: Reported, body: Input) => {
  const params = { path: { name } };
  return about === 'channel'
    ? done(api.POST('/api/v1/channels/{name}/reports', { params, body }))
    : done(api.POST('/api/v1/users/{name}/reports', { params, body }));
};
