import { MESSAGES, type MessageKey } from './messages';

/** The names in braces of a message. */
type Blanks<S extends string> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Blanks<Rest> : never;

type Values<K extends MessageKey> =
  Blanks<(typeof MESSAGES)[K]> extends never
    ? []
    : [values: Readonly<Record<Blanks<(typeof MESSAGES)[K]>, string | number>>];

/** A sentence of the catalogue with its blanks filled in. */
export function t<K extends MessageKey>(key: K, ...values: Values<K>): string {
  const filled: Readonly<Record<string, string | number>> = values[0] ?? {};
  return MESSAGES[key].replace(/\{(\w+)\}/g, (blank, name: string) => String(filled[name] ?? blank));
}
