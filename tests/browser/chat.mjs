// People in a chat room, each with a browser window of their own: one line of orders from standard input at a time, and one line
// of JSON per answer.
//
//   node chat.mjs --at http://… --shots folder
//
// Orders: `join NAME`, `open NAME PATH [phone]`, `say NAME TEXT`, `read NAME TEXT`, `scroll NAME`, `newest NAME`, `wander NAME`,
// `held NAME`, `decide NAME Allow|Deny`, `vote NAME ANSWER`, `poll NAME TEXT`, `remove NAME OF TEXT`, `timeout NAME OF TEXT`,
// `silenced NAME`, `log NAME`, `shot NAME FILE`. A NAME that did not join only reads.
import { createInterface } from 'node:readline';
import { join as pathOf } from 'node:path';
import { launch, options, say } from './lib.mjs';

const { at, shots } = options({ at: '', shots: '' });
/** Longest wait for anything on a busy machine, in milliseconds. */
const PATIENCE = 30_000;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

const browser = await launch();
const people = new Map();
const complaints = [];

const page = async (name) => {
  const known = people.get(name);
  if (known !== undefined) return known;
  const context = await browser.newContext({ viewport: DESKTOP });
  context.setDefaultTimeout(PATIENCE);
  const made = await context.newPage();
  made.on('pageerror', (error) => complaints.push(`${name}: ${error}`));
  made.on('dialog', (dialog) => complaints.push(`${name}: ${dialog.message()}`));
  made.on('console', (message) => {
    if (message.type() === 'error' && message.text().includes('Content Security Policy')) complaints.push(message.text());
  });
  people.set(name, made);
  return made;
};
/** The rows of the log with this text. */
const rows = (window, text) => window.getByTestId('chat-log').getByRole('listitem').filter({ hasText: text });

const orders = {
  async join(name) {
    const window = await page(name);
    await window.goto(`${at}/login`);
    const status = await window.evaluate(async (name) => {
      const body = JSON.stringify({ name, password: 'kettle-harbour-violet-42' });
      const answer = await fetch('/api/v1/auth/register', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      return answer.status;
    }, name);
    return { status };
  },

  async open(name, path, size) {
    const window = await page(name);
    await window.setViewportSize(size === 'phone' ? PHONE : DESKTOP);
    await window.goto(at + path);
    await window.getByTestId('chat-log').and(window.locator('[aria-busy=false]')).waitFor();
    // A page that loads itself again has lost this.
    await window.evaluate(() => {
      globalThis.loadedOnce = true;
    });
    return { path };
  },

  async say(name, ...words) {
    const window = await page(name);
    const field = window.getByTestId('chat-input');
    await field.fill(words.join(' '));
    await field.press('Enter');
    return { said: words.join(' ') };
  },

  async read(name, ...words) {
    const window = await page(name);
    const text = words.join(' ');
    const found = rows(window, text);
    await found.first().waitFor();
    return {
      times: await found.count(),
      mentioned: await found.locator('[data-mentioned]').count(),
      pictures: await found.locator('img').count(),
      kept: await window.evaluate(() => globalThis.loadedOnce === true),
    };
  },

  /** Goes up in the log, as somebody who reads what was said before. */
  async scroll(name) {
    const window = await page(name);
    await window.getByTestId('chat-log').hover();
    await window.mouse.wheel(0, -2000);
    return { name };
  },

  /** Looks here and there in what was said: each place shows messages, and few are drawn. `kept` are those that it holds. */
  async wander(name) {
    const window = await page(name);
    const log = window.getByTestId('chat-log');
    let most = 0;
    for (const part of [0.75, 0.25, 0.5, 0.9]) {
      await log.evaluate((element, part) => element.scrollTo(0, element.scrollHeight * part), part);
      await window.waitForFunction(() => {
        const element = document.querySelector('[data-testid="chat-log"]');
        const { left, top, width, height } = element.getBoundingClientRect();
        return document.elementFromPoint(left + width / 2, top + height / 2)?.closest('li') != null;
      });
      most = Math.max(most, await log.getByRole('listitem').count());
    }
    const rowHeight = await log.getByRole('listitem').first().evaluate((row) => row.getBoundingClientRect().height);
    const kept = await log.evaluate((element, height) => Math.round(element.scrollHeight / height), rowHeight);
    return { rows: most, kept };
  },

  /** What says that there is more below, and goes there. */
  async newest(name) {
    const window = await page(name);
    const button = window.getByTestId('chat-unseen');
    await button.waitFor();
    const text = await button.innerText();
    await button.click();
    await button.waitFor({ state: 'detached' });
    return { text };
  },

  /** What is said to whoever waits for a moderator. */
  async held(name) {
    const window = await page(name);
    return { text: await window.getByTestId('pending-held').first().innerText() };
  },

  /** Decides about the first message that waits. */
  async decide(name, decision) {
    const window = await page(name);
    const row = window.getByTestId('chat-held').getByRole('listitem').first();
    const text = await row.innerText();
    await row.getByRole('button', { name: decision }).click();
    return { text };
  },

  async vote(name, ...words) {
    const window = await page(name);
    const poll = window.getByTestId('chat-poll');
    await poll.getByRole('radio', { name: words.join(' ') }).check();
    await poll.getByRole('button', { name: 'Vote' }).click();
    await poll.getByRole('img', { name: 'Your vote' }).waitFor();
    return { name };
  },

  /** The poll, once it says this. */
  async poll(name, ...words) {
    const window = await page(name);
    const poll = window.getByTestId('chat-poll').filter({ hasText: words.join(' ') });
    await poll.waitFor();
    return { text: await poll.innerText(), radios: await poll.getByRole('radio').count() };
  },

  async remove(name, of, ...words) {
    const window = await page(name);
    await rows(window, words.join(' ')).last().hover();
    await window.getByRole('button', { name: `Moderate ${of}` }).click();
    await window.getByRole('menuitem', { name: 'Delete the message' }).click();
    return { name };
  },

  async timeout(name, of, ...words) {
    const window = await page(name);
    await rows(window, words.join(' ')).last().hover();
    await window.getByRole('button', { name: `Moderate ${of}` }).click();
    await window.getByRole('menuitem', { name: /10 minutes/ }).click();
    return { name };
  },

  async silenced(name) {
    const window = await page(name);
    return { text: await window.getByTestId('chat-silenced').innerText() };
  },

  /** What stands in the log, and how much of it the browser has to carry. */
  async log(name) {
    const window = await page(name);
    const log = window.getByTestId('chat-log');
    return { text: await log.innerText(), rows: await log.getByRole('listitem').count() };
  },

  async shot(name, file) {
    await (await page(name)).screenshot({ path: pathOf(shots, file) });
    return { file };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...words] = line.trim().split(' ');
  try {
    say({ order, ...(await orders[order](...words)), complaints });
  } catch (error) {
    const window = people.get(words[0]);
    const seen = (await window?.locator('body').innerText().catch(() => '')) ?? '';
    say({ order, failed: String(error), seen: seen.slice(-1200) });
  }
}
await browser.close();
process.exit(0);
