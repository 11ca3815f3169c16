import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { call } from '@/api/call';
import { api, done, unwrap } from '@/api/client';
import type { components } from '@/api/schema';

/** An account as an admin sees it. */
export type Account = components['schemas']['Account'];

const of = (name: string) => ({ params: { path: { name } } });

export const findAccount = (name: string) => unwrap(api.GET('/api/v1/admin/users/{name}', of(name)));
export const editAccount = (name: string, body: components['schemas']['AccountEdit']) =>
  unwrap(api.PATCH('/api/v1/admin/users/{name}', { ...of(name), body }));
export const makeResetLink = (name: string) => unwrap(api.POST('/api/v1/admin/users/{name}/reset-link', of(name)));
export const makeInvitation = () => unwrap(api.POST('/api/v1/admin/invitations'));

/** What admins did, newest first, page by page. */
export const audit = () =>
  infiniteQueryOptions({
    queryKey: ['admin', 'audit'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      unwrap(api.GET('/api/v1/admin/audit', { params: { query: pageParam === null ? {} : { cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor,
  });

/** The settings of the site as admins see them. */
export type SiteSettings = components['schemas']['SiteSettings'];
export type SiteChange = components['schemas']['SiteChangeView'];

export const siteSettings = () =>
  queryOptions({ queryKey: ['admin', 'site'], queryFn: () => unwrap(api.GET('/api/v1/admin/site')), gcTime: 0 });
export const editSite = (body: components['schemas']['SiteEdit']) => unwrap(api.PATCH('/api/v1/admin/site', { body }));
export const undoSite = (number: number) =>
  unwrap(api.POST('/api/v1/admin/site/history/{number}/undo', { params: { path: { number } } }));

const PAGE = 20;

/** What was changed of them, newest first. */
export const siteHistory = () =>
  infiniteQueryOptions({
    queryKey: ['admin', 'site', 'history'],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(
        api.GET('/api/v1/admin/site/history', { params: { query: { limit: PAGE, ...(cursor !== '' && { cursor }) } } }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });

/** A report as admins see it. */
export type Report = components['schemas']['ReportView'];

export const reports = (state: Report['state']) =>
  infiniteQueryOptions({
    queryKey: ['admin', 'reports', state],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(
        api.GET('/api/v1/admin/reports', { params: { query: { state, limit: PAGE, ...(cursor !== '' && { cursor }) } } }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });
export const resolveReport = (id: string, body: components['schemas']['Resolution']) =>
  unwrap(api.POST('/api/v1/admin/reports/{id}/resolve', { params: { path: { id } }, body }));

/** The emotes that every room of chat has. */
export const siteEmotes = () =>
  queryOptions({ queryKey: ['admin', 'emotes'], queryFn: () => unwrap(api.GET('/api/v1/admin/emotes')) });
export const putSiteEmote = (emote: string, picture: File) =>
  call('PUT', `/api/v1/admin/emotes/${encodeURIComponent(emote)}`, picture);
export const removeSiteEmote = (emote: string) =>
  done(api.DELETE('/api/v1/admin/emotes/{emote}', { params: { path: { emote } } }));

/** Who may say nothing in any chat, newest first. */
export const siteBans = () =>
  infiniteQueryOptions({
    queryKey: ['admin', 'chat', 'bans'],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET('/api/v1/admin/chat/bans', { params: { query: { limit: PAGE, ...(cursor !== '' && { cursor }) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  });
export const banFromSite = (person: string, reason: string) =>
  done(api.PUT('/api/v1/admin/chat/bans/{person}', { params: { path: { person } }, body: { reason } }));
export const liftSiteBan = (person: string) =>
  done(api.DELETE('/api/v1/admin/chat/bans/{person}', { params: { path: { person } } }));
