import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from './client';
import type { components } from './schema';

/** A broadcast to come. */
export type PlannedBroadcast = components['schemas']['PlannedBroadcast'];

const REFRESH_MS = 60_000;
/** Those that a page shows; the calendar has them all. */
const SHOWN = 8;

/** What a channel plans, soonest first. */
export const scheduleOf = (name: string) =>
  queryOptions({
    queryKey: ['channels', name, 'schedule'],
    queryFn: async () =>
      (await unwrap(api.GET('/api/v1/channels/{name}/schedule', { params: { path: { name }, query: { limit: SHOWN } } })))
        .items,
    refetchInterval: REFRESH_MS,
  });

/** What the channels plan that one follows, soonest first. */
export const upcoming = () =>
  queryOptions({
    queryKey: ['me', 'upcoming'],
    queryFn: async () => (await unwrap(api.GET('/api/v1/me/upcoming', { params: { query: { limit: SHOWN } } }))).items,
    refetchInterval: REFRESH_MS,
  });

/** The calendar of a channel, to subscribe to. */
export const calendarUrl = (name: string) => `/api/v1/channels/${name}/schedule.ics`;
