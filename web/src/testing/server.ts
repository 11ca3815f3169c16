import { vi } from 'vitest';
import type { Stream } from '@/api/streams';
import type { Channel } from '@/api/channels';
import type { Me } from '@/api/me';
import type { Site } from '@/api/site';
import type { components } from '@/api/schema';

type Problem = components['schemas']['ProblemDocument'];
type Page = components['schemas']['StreamPage'];

/** A broadcast as the server describes it. */
export function streamNamed(channel: string, more: Partial<Stream> = {}): Stream {
  return {
    channel,
    broadcast: '019a2f00-0000-7000-8000-000000000000',
    state: 'live',
    started_at: new Date(Date.now() - 65_000).toISOString(),
    viewers: 7,
    title: '',
    category: '',
    tags: [],
    language: '',
    encoder: 'obs-output module (libobs version 29.0.2)',
    playback_url: `/live/${channel}/index.m3u8`,
    health: {
      video: {
        codec: 'avc1.64002a',
        width: 1920,
        height: 1080,
        frame_rate: 60,
        keyframe_interval: 2,
        bitrate: 6_000_000,
        b_frames: true,
      },
      audio: { codec: 'mp4a.40.2', sample_rate: 48_000, channels: 2, bitrate: 160_000 },
      bitrate: 6_160_000,
      warnings: [],
    },
    ...more,
  };
}

/** One request as a test sees it. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly headers: Headers;
}

type Route = (asked: Asked) => Response | object | undefined;

/**
 * Answers the app's requests from `live`, which a test may change as it goes; `down` refuses them all. `routes`, by
 * `METHOD /path` below `/api/v1`, come first; one that returns nothing is answered 204. Everything else is unknown, and
 * nobody is signed in.
 */
export function serve(live: Stream[], routes: Record<string, Route> = {}) {
  const server = { live, routes, down: false, asked: [] as Asked[] };
  vi.stubGlobal('fetch', async (input: Request | string) => {
    const request = typeof input === 'string' ? new Request(new URL(input, window.location.origin)) : input;
    if (server.down) throw new TypeError('Failed to fetch');
    const path = new URL(request.url).pathname.replace('/api/v1', '');
    const text = await request.clone().text();
    const asked = {
      method: request.method,
      path,
      query: new URL(request.url).searchParams,
      headers: request.headers,
      body: /json/.test(request.headers.get('content-type') ?? '') ? (JSON.parse(text) as unknown) : text,
    };
    server.asked.push(asked);
    const route = server.routes[`${asked.method} ${path}`];
    if (route !== undefined) {
      const answer = route(asked);
      if (answer instanceof Response) return answer;
      return answer === undefined ? new Response(null, { status: 204 }) : Response.json(answer);
    }
    if (path === '/me') return problem(401, 'signed-out', 'Sign in first.');
    if (path === '/site') return Response.json(siteNamed('Millrace'));
    const [, resource, channel] = path.split('/');
    if (resource !== 'streams') return problem(404, 'not-found', 'There is nothing at this address.');
    if (channel === undefined) {
      const page: Page = { items: server.live, next_cursor: null };
      return Response.json(page);
    }
    const stream = server.live.find((candidate) => candidate.channel === channel);
    return stream ? Response.json(stream) : problem(404, 'channel-not-live', 'The channel is not live.');
  });
  return server;
}

/** An error as the server writes it; `fields` by JSON pointer. */
export function problem(status: number, kind: string, detail: string, fields: Record<string, string> = {}): Response {
  const body: Problem = {
    type: `/problems/${kind}`,
    title: kind,
    status,
    detail,
    errors: Object.entries(fields).map(([pointer, sentence]) => ({ pointer, detail: sentence })),
  };
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json' } });
}

/** A person as the server describes them. */
export function personNamed(name: string, more: Partial<Me> = {}): Me {
  return {
    id: '019a2f00-0000-7000-8000-0000000000aa',
    name,
    display_name: name,
    email: null,
    email_verified: false,
    role: 'viewer',
    bio: '',
    avatar_url: null,
    two_factor: false,
    has_password: true,
    created_at: '2026-11-01T12:00:00Z',
    ...more,
  };
}

/** A channel as the server describes it. */
export function channelNamed(name: string, more: Partial<Channel> = {}): Channel {
  return {
    id: `019a2f00-0000-7000-8000-${name}`,
    name,
    owner: { name: 'ada', display_name: 'Ada', bio: '' },
    title: '',
    category: '',
    tags: [],
    language: '',
    description: '',
    playback: 'public',
    followers: 0,
    created_at: '2026-11-01T12:00:00Z',
    ...more,
  };
}

/** A site as the server describes it. */
export function siteNamed(name: string, more: Partial<Site> = {}): Site {
  return {
    name,
    description: '',
    registration: 'open',
    streaming: 'everyone',
    language: '',
    categories: [],
    rules: '',
    rules_url: '',
    contact: '',
    servers: ['rtmp://localhost:1935/live'],
    ...more,
  };
}
