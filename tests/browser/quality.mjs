// Chooses pictures on the page: as somebody whose browser saves data, and by hand.
//
//   node quality.mjs --origin http://… --shots folder
//
// Says a line for each step, with the heights of the pictures that were shown since the page was loaded, or something was chosen.
import { join } from 'node:path';
import { launch, options, say } from './lib.mjs';

const { origin, shots } = options({ origin: '', shots: '' });
/** For the wanted picture to come, in milliseconds. */
const PATIENCE = 30_000;
/** Then it must stay for so long: the player looks for a better one meanwhile. */
const HOLD = 5_000;

const browser = await launch();

/** A browser of its own, with what it remembers. */
async function person(saveData) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  if (saveData) {
    const inspector = await context.newCDPSession(page);
    await inspector.send('Emulation.setDataSaverOverride', { dataSaverEnabled: true });
  }
  await page.addInitScript(() => {
    window.heightsShown = [];
    setInterval(() => {
      const height = document.querySelector('video')?.videoHeight ?? 0;
      if (height > 0 && window.heightsShown.at(-1) !== height) window.heightsShown.push(height);
    }, 50);
  });
  return page;
}

/** Waits for a picture of this height, and whether it stays. */
async function shown(page, step, wanted) {
  await page.locator('[data-testid=player][data-state=playing]').waitFor();
  const came = () => page.waitForFunction((height) => window.heightsShown.at(-1) === height, wanted);
  await came().catch(() => null);
  await page.waitForTimeout(HOLD);
  say({ step, heights: await page.evaluate(() => window.heightsShown) });
  if (shots) await page.screenshot({ path: join(shots, `quality-${step.replaceAll(/\W+/g, '-')}.png`) });
}

async function choose(page, name) {
  await page.evaluate(() => { window.heightsShown = []; });
  await page.getByTestId('player').hover();
  await page.getByTestId('quality').click();
  await page.getByRole('menuitemradio', { name }).click();
}

const saver = await person(true);
await saver.goto(`${origin}/@studio`);
if (!await saver.evaluate(() => navigator.connection.saveData)) throw new Error('the browser does not say that it saves data');
await shown(saver, 'saver', 480);
await choose(saver, /720p/);
await shown(saver, 'saver, 720p by hand', 720);
await saver.reload();
await shown(saver, 'saver, reloaded', 720);
await saver.context().close();

const other = await person(false);
await other.goto(`${origin}/@studio`);
await shown(other, 'auto', 720);
await choose(other, /240p/);
await shown(other, '240p by hand', 240);
await other.reload();
await shown(other, 'reloaded', 240);
await other.goto(`${origin}/@other`);
await shown(other, 'another channel', 240);
await browser.close();
process.exit(0);
