// Watches a channel that is for its followers: from outside, and as somebody who follows it.
//
//   node closed.mjs --origin http://… --channel NAME --person NAME --seconds N --shots folder
import { join } from 'node:path';
import { launch, options, say } from './lib.mjs';

const { origin, channel, person, seconds, shots } = options({ origin: '', channel: '', person: '', seconds: 10, shots: '' });
/** Longest wait for anything on a busy machine, in milliseconds. */
const PATIENCE = 30_000;

const browser = await launch();
const visit = async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(PATIENCE);
  return context.newPage();
};

const outside = await visit();
await outside.goto(`${origin}/@${channel}`);
await outside.getByRole('heading', { name: `${channel} is for its followers` }).waitFor();
if (shots) await outside.screenshot({ path: join(shots, 'for-followers.png') });
await outside.close();

const page = await visit();
const tokens = new Set();
let playlist = '';
page.on('request', (request) => {
  const found = /^\/t\/([^/]+)\/live\//.exec(new URL(request.url()).pathname);
  if (found === null) return;
  tokens.add(found[1]);
  playlist = `/t/${found[1]}/live/${channel}/index.m3u8`;
});
await page.goto(`${origin}/register`);
await page.getByLabel('Name', { exact: true }).fill(person);
await page.getByLabel('Password', { exact: true }).fill('correct-horse-battery-staple');
await page.getByRole('button', { name: 'Register' }).click();
await page.getByRole('button', { name: /^Menu of / }).waitFor();
await page.goto(`${origin}/@${channel}`);
await page.getByTestId('follow').first().click();
const player = page.locator('[data-testid=player]');
await page.locator('[data-testid=player][data-state=playing]').waitFor();
const time = () => page.locator('video').evaluate((video) => video.currentTime);
const states = new Set();
const from = await time();
const until = Date.now() + seconds * 1000;
while (Date.now() < until) {
  states.add(await player.getAttribute('data-state'));
  await page.waitForTimeout(250);
}
if (shots) await page.screenshot({ path: join(shots, 'as-follower.png') });
say({ event: 'watched', played: (await time()) - from, states: [...states], tokens: tokens.size, playlist });
await browser.close();
