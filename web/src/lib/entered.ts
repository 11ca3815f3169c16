/** The text of a field of a form; empty if there is none. */
export function entered(data: FormData, name: string): string {
  const value = data.get(name);
  return typeof value === 'string' ? value : '';
}

/** The text of a field without blanks around it; `undefined` if that leaves nothing. */
export function optional(data: FormData, name: string): string | undefined {
  return entered(data, name).trim() || undefined;
}
