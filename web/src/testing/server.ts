import { vi } from 'vitest';
import type { Stream } from '@/api/streams';
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

/** Answers the app's requests from `live`, which a test may change as it goes; `down` refuses them all. */
export function serve(live: Stream[]) {
  const server = { live, down: false };
  vi.stubGlobal('fetch', (input: Request | string) => {
    const url = new URL(typeof input === 'string' ? input : input.url, window.location.origin);
    if (server.down) return Promise.reject(new TypeError('Failed to fetch'));
    const [, , , resource, channel] = url.pathname.split('/');
    if (resource !== 'streams') return Promise.resolve(problem(404));
    if (channel === undefined) {
      const page: Page = { items: server.live, next_cursor: null };
      return Promise.resolve(Response.json(page));
    }
    const stream = server.live.find((candidate) => candidate.channel === channel);
    return Promise.resolve(stream ? Response.json(stream) : problem(404));
  });
  return server;
}

function problem(status: number): Response {
  const body: Problem = { type: 'about:blank', title: 'Not live', status, detail: 'The channel is not live.' };
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json' } });
}
