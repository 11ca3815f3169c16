/** Sentences about looking for something, and about what one follows. */
export const SEARCH_MESSAGES = {
  'search.title': 'Search',
  'search.label': 'Search channels',
  'search.placeholder': 'Search',
  'search.go': 'Search',
  'search.busy': 'Searching',
  'search.begin': 'Type a channel, a title, a category or a tag into the box above.',
  'search.found': 'Found for “{q}”',
  'search.none.title': 'Nothing for “{q}”',
  'search.none.body': 'Every word has to begin a word of the channel. Try fewer or shorter ones.',
  'search.error': 'The search did not work',
} as const;
