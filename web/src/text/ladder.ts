/** Sentences about the rungs of a channel: smaller pictures that the server makes of a broadcast. */
export const LADDER_MESSAGES = {
  'ladder.title': 'Smaller pictures for slow lines',
  'ladder.hint':
    'Viewers whose line does not carry your picture can watch a smaller one, which the server makes of it. What you change holds from the next broadcast on.',
  'ladder.mode': 'When they are made',
  'ladder.mode.site': 'As the site does: {when}',
  'ladder.mode.off': 'Never',
  'ladder.mode.on_demand': 'While somebody watches them',
  'ladder.mode.always': 'As long as you are live',
  'ladder.when.off': 'never',
  'ladder.when.on_demand': 'while somebody watches them',
  'ladder.when.always': 'as long as a channel is live',
  'ladder.rungs': 'Which, as far as they are smaller than what you send',
  'ladder.save': 'Save',
  'ladder.saved': 'Saved. It holds from the next broadcast on.',
  'ladder.next.off': 'The next broadcast has none.',
  'ladder.next': 'The next broadcast has {rungs}, {when}.',

  'ladder.admin.title': 'Smaller pictures of a channel',
  'ladder.admin.hint':
    'Its owner can have fewer made than the site does. Here you can have more made, which takes processors of the server; up to that its owner may choose, too.',
  'ladder.admin.channel': 'Channel',
  'ladder.admin.find': 'Find the channel',
  'ladder.admin.none': 'There is no channel of this name.',
} as const;
