/** Reads values of unknown shape: the value if it fits, else `undefined`. */
export const shape = {
  record: (value: unknown): Record<string, unknown> =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {},
  boolean: (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined),
  number: (value: unknown, least: number, most: number): number | undefined =>
    typeof value === 'number' && value >= least && value <= most ? value : undefined,
};
