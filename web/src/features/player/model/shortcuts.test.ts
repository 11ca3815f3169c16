import { afterEach, describe, expect, it } from 'vitest';
import { commandOf } from './shortcuts';

function press(key: string, html?: string, modifiers: Partial<KeyboardEvent> = {}) {
  if (html !== undefined) document.body.innerHTML = html;
  const target = html === undefined ? document.body : document.querySelector('[data-focus]');
  return commandOf({ key, ctrlKey: false, metaKey: false, altKey: false, target, ...modifiers });
}

afterEach(() => {
  document.body.innerHTML = '';
});

describe('commandOf', () => {
  it.each([
    [' ', 'play'],
    ['K', 'play'],
    ['m', 'mute'],
    ['f', 'fullscreen'],
    ['t', 'theatre'],
    ['ArrowUp', 'louder'],
    ['ArrowLeft', 'back'],
    ['i', 'stats'],
    ['c', 'chat'],
    ['?', 'help'],
    ['x', null],
  ])('reads %s as %s', (key, command) => expect(press(key)).toBe(command));

  it.each([
    ['a text field', '<input data-focus />'],
    ['a text area', '<textarea data-focus></textarea>'],
    ['editable text', '<div contenteditable="true"><b data-focus>x</b></div>'],
    ['an open menu', '<div role="menu"><div role="menuitemradio" data-focus></div></div>'],
    ['a dialog', '<div role="dialog"><button data-focus></button></div>'],
  ])('leaves every key to %s', (_name, html) => {
    expect([press('k', html), press(' ', html), press('ArrowUp', html)]).toEqual([null, null, null]);
  });

  it('leaves the space bar to a focused button, and the arrows to a slider', () => {
    const button = '<button data-focus></button>';
    const slider = '<input type="range" data-focus />';
    expect([press(' ', button), press('m', button), press('ArrowUp', button)]).toEqual([null, 'mute', 'louder']);
    expect([press('ArrowUp', slider), press('m', slider)]).toEqual([null, 'mute']);
  });

  it("leaves the browser's own combinations alone", () => {
    expect(press('f', undefined, { ctrlKey: true })).toBeNull();
    expect(press('k', undefined, { metaKey: true })).toBeNull();
  });
});
