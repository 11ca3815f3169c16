// Does in Chromium what the owner of a new server does, one line of orders from standard input at a time, and prints
// one line of JSON per answer.
//
//   node accounts.mjs --link http://…/setup#token --shots folder
//
// Orders: `setup NAME PASSWORD`, `channel NAME`, `key NAME`, `live`, `watch NAME`, `stop`, `revoke NAME`, `signout`,
// `login NAME PASSWORD`, `register NAME EMAIL PASSWORD`, `verify URL`, `forgot LOGIN`, `reset URL PASSWORD`, `email`,
// `provider LABEL LOGIN`, `later`, `now`, `confirm LABEL LOGIN`, `password PASSWORD`, `totp-on`, `totp-confirm CODE`,
// `recover CODE`, `shots PREFIX PATH …`.
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { launch, options, say } from './lib.mjs';

const { link, shots } = options({ link: '', shots: '' });
const origin = new URL(link).origin;
/** Longest wait for anything on a busy machine, in milliseconds. */
const PATIENCE = 30_000;

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
context.setDefaultTimeout(PATIENCE);
const complaints = [];
const page = await context.newPage();
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('console', (message) => {
  if (message.type() === 'error' && message.text().includes('Content Security Policy')) complaints.push(message.text());
});

const confirm = async (button, named) => {
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: named }).click();
  await page.getByRole('alertdialog').waitFor({ state: 'detached' });
};

/** Goes to the provider and answers what it asks, if it asks, until the browser is back; the path where that is. */
const atProvider = async (way, login) => {
  const here = page.url();
  await way.click();
  await page.waitForURL((url) => url.href !== here);
  while (new URL(page.url()).origin !== origin) {
    const from = page.url();
    const name = page.locator('input[name=login]');
    if ((await name.count()) > 0) {
      await name.fill(login);
      await page.locator('input[name=password]').fill('any');
    }
    await page.locator('button[type=submit]').first().click();
    await page.waitForURL((url) => url.href !== from);
  }
  await page.locator('main h1').first().waitFor();
  return new URL(page.url()).pathname;
};

const orders = {
  async setup(name, password) {
    await page.goto(link);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Make the owner’s account' }).click();
    await page.waitForURL('**/dashboard');
    return { token: new URL(page.url()).hash };
  },

  async channel(name) {
    await page.getByLabel('Channel name').fill(name);
    await page.getByRole('button', { name: 'Make the channel' }).click();
    await page.getByRole('heading', { name: 'Connect OBS' }).waitFor();
    return { channel: name };
  },

  // The secret as a person reads it from the page.
  async key(name) {
    await page.getByLabel('Name of the new key').fill(name);
    await page.getByRole('button', { name: 'Make a key' }).click();
    const secret = await page.getByTestId('fresh-key').locator('code').innerText();
    await page.getByRole('button', { name: 'I have copied it' }).click();
    return { key: secret, stays: await page.getByText(secret).count() };
  },

  async live() {
    await page.locator('[data-testid=on-air][data-state=live]').waitFor();
    await page.locator('[data-testid=player][data-state=playing]').waitFor();
    return { live: await page.getByTestId('health').innerText() };
  },

  // A second window, as a viewer has it: the picture moves for three seconds.
  async watch(name) {
    const viewer = await context.newPage();
    await viewer.goto(`${origin}/@${name}`);
    await viewer.locator('[data-testid=player][data-state=playing]').waitFor();
    const time = () => viewer.locator('video').evaluate((video) => video.currentTime);
    const from = await time();
    await viewer.waitForFunction((start) => document.querySelector('video').currentTime > start + 3, from, { timeout: PATIENCE });
    const played = (await time()) - from;
    await viewer.close();
    return { played };
  },

  async stop() {
    await confirm('Stop the broadcast', 'Stop the broadcast');
    await page.locator('[data-testid=on-air][data-state=idle]').waitFor();
    return { stopped: true };
  },

  async revoke(name) {
    await confirm(`Revoke the key ${name}`, 'Revoke');
    await page.getByText('No key yet').waitFor();
    return { revoked: true };
  },

  async signout() {
    await page.getByRole('button', { name: /^Menu of / }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('link', { name: 'Sign in' }).waitFor();
    await page.goto(`${origin}/dashboard`);
    await page.waitForURL('**/login**');
    return { out: new URL(page.url()).pathname };
  },

  async login(name, password) {
    if (new URL(page.url()).pathname !== '/login') await page.goto(`${origin}/login`);
    await page.getByLabel('Name or e-mail').fill(name);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    // An answer of either kind.
    await page.locator('[role=alert]').or(page.getByRole('button', { name: /^Menu of / })).first().waitFor();
    const refused = page.locator('[role=alert]');
    return (await refused.count()) > 0 ? { refused: await refused.innerText() } : { path: new URL(page.url()).pathname };
  },

  async register(name, email, password) {
    await page.goto(`${origin}/register`);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByRole('button', { name: /^Menu of / }).waitFor();
    return { path: new URL(page.url()).pathname };
  },

  // What the settings say of the address.
  async email() {
    await page.goto(`${origin}/settings`);
    const field = page.getByRole('textbox', { name: 'E-mail' });
    await field.waitFor();
    return {
      address: await field.inputValue(),
      waits: await page.getByTestId('unproved').count(),
      confirmed: await page.getByText('Confirmed.').count(),
    };
  },

  async verify(url) {
    await page.goto(url);
    await page.getByRole('button', { name: 'Confirm the address' }).click();
    await page.getByRole('heading', { name: 'The address is confirmed' }).or(page.locator('[role=alert]')).first().waitFor();
    const refused = page.locator('[role=alert]');
    return { hash: new URL(page.url()).hash, refused: (await refused.count()) > 0 ? await refused.innerText() : null };
  },

  async forgot(login) {
    await page.goto(`${origin}/login`);
    await page.getByRole('link', { name: 'Forgot the password?' }).click();
    await page.getByLabel('Name or e-mail').fill(login);
    await page.getByRole('button', { name: 'Send the link' }).click();
    await page.getByRole('heading', { name: 'Look into your mail' }).waitFor();
    return { said: await page.locator('main').innerText() };
  },

  async reset(url, password) {
    await page.goto(url);
    await page.getByLabel('New password').fill(password);
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByRole('heading', { name: 'The password is set' }).waitFor();
    return { hash: new URL(page.url()).hash };
  },

  // In at the certified provider: its own pages of name and consent, as far as it shows them.
  async provider(label, login) {
    await page.goto(`${origin}/login`);
    return { path: await atProvider(page.getByRole('link', { name: `Continue with ${label}` }), login) };
  },

  // The page's clock, far enough ahead that what a provider said is too old, and right again.
  async later() {
    await context.clock.setFixedTime(Date.now() + 11 * 60_000);
    return { later: true };
  },

  async now() {
    await context.clock.setFixedTime(Date.now());
    return { later: false };
  },

  async confirm(label, login) {
    await page.goto(`${origin}/settings`);
    const part = page.getByRole('region', { name: 'Password' });
    return { path: await atProvider(part.getByRole('button', { name: `Confirm with ${label}` }), login) };
  },

  // The first password of who came by a provider.
  async password(password) {
    await page.goto(`${origin}/settings`);
    await page.getByLabel('New password').fill(password);
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByLabel('Current password').waitFor();
    return { current: await page.getByLabel('Current password').count() };
  },

  async 'totp-on'() {
    const part = page.getByRole('region', { name: 'Second factor' });
    await part.getByRole('button', { name: 'Turn it on' }).click();
    const answer = part.getByLabel('Code that the app shows');
    await answer.waitFor();
    return { secret: (await part.innerText()).match(/[A-Z2-7]{32}/)[0] };
  },

  async 'totp-confirm'(code) {
    await page.getByLabel('Code that the app shows').fill(code);
    await page.keyboard.press('Enter');
    const codes = page.getByTestId('recovery-codes').locator('li');
    await codes.first().waitFor();
    return { codes: await codes.allInnerTexts() };
  },

  async recover(code) {
    await page.getByRole('button', { name: 'Use a recovery code' }).click();
    await page.getByLabel('Recovery code').fill(code);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: /^Menu of / }).waitFor();
    return { path: new URL(page.url()).pathname };
  },

  // What the pages look like, for people to judge.
  async shots(prefix, ...paths) {
    for (const [size, viewport] of [['desktop', { width: 1280, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
      const look = await context.newPage();
      await look.setViewportSize(viewport);
      for (const path of paths) {
        await look.goto(origin + path);
        await look.locator('main h1').first().waitFor();
        const name = `${prefix}${path.replace(/\W+/g, '-')}-${size}.png`;
        await look.screenshot({ path: join(shots, name), fullPage: true });
      }
      await look.close();
    }
    return { shots: paths.length };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...words] = line.trim().split(' ');
  try {
    say({ order, ...(await orders[order](...words)), complaints });
  } catch (error) {
    const seen = await page.locator('body').innerText().catch(() => '');
    say({ order, failed: String(error), at: page.url(), seen: seen.slice(0, 800) });
  }
}
await browser.close();
process.exit(0);
