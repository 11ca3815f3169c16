/** The terms of a text in which each has a line of its own: trimmed, each once. */
export function termsOf(text: string): string[] {
  const terms = text.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));
  return [...new Set(terms)].filter((term) => term !== '');
}
