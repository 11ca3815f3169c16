import { readFileSync } from 'node:fs';
import { NOTICES_MESSAGES } from '../../../text/notices.ts';

/** What the service worker says: it runs while no page is open, so it cannot ask one. */
const TEXT = {
  app: NOTICES_MESSAGES['push.app'],
  some: NOTICES_MESSAGES['push.some'],
  live: NOTICES_MESSAGES['notices.live'],
};

/** The service worker as browsers get it at `/sw.js`: one plain script with the app's sentences in it. */
export function workerScript(): string {
  // Builds and tests run in the folder of the web app.
  const source = readFileSync('src/features/notices/worker/sw.js', 'utf8');
  return source.replace("'__TEXT__'", () => JSON.stringify(TEXT));
}
