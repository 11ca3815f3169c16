/** What a key can ask of the player. */
export type Command =
  | 'play'
  | 'mute'
  | 'louder'
  | 'softer'
  | 'back'
  | 'forward'
  | 'live'
  | 'fullscreen'
  | 'theatre'
  | 'pip'
  | 'stats'
  | 'chat'
  | 'help';

const KEYS: Readonly<Record<string, Command>> = {
  ' ': 'play',
  k: 'play',
  m: 'mute',
  arrowup: 'louder',
  arrowdown: 'softer',
  arrowleft: 'back',
  arrowright: 'forward',
  j: 'back',
  l: 'forward',
  end: 'live',
  f: 'fullscreen',
  t: 'theatre',
  p: 'pip',
  i: 'stats',
  c: 'chat',
  '?': 'help',
};

/** Keys that mean something to a focused control of their own. */
const CONTROL_KEYS = new Set([' ', 'arrowup', 'arrowdown', 'arrowleft', 'arrowright']);
const TYPING = 'input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]';
const OWN_KEYS = '[role=menu], [role=dialog]';
const CONTROL = 'button, a, input, summary, [role=slider], [role=switch], [role=menuitemradio]';

/** The command of a key press, or `null` if the press is meant for something else: typing, a menu, a focused control. */
export function commandOf(
  event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'target'>,
): Command | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.toLowerCase();
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(TYPING) ?? target?.closest(OWN_KEYS)) return null;
  if (CONTROL_KEYS.has(key) && target?.closest(CONTROL)) {
    // A focused button takes the space bar, a focused slider the arrows too.
    if (key === ' ' || target.closest('input, [role=slider]')) return null;
  }
  return KEYS[key] ?? null;
}
