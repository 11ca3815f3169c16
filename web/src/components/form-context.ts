import { createContext, useContext } from 'react';

/** Why a form was not taken. */
export interface Failure {
  /** For the person. */
  readonly sentence: string;
  /** What is wrong with single fields, by the field's name. */
  readonly fields: readonly { readonly name: string; readonly detail: string }[];
}

/** The last failure of the form around a field; `null` if there is none. */
export const FormContext = createContext<Failure | null>(null);

/** What is wrong with the field of this name. */
export function useFieldError(name: string): string | undefined {
  return useContext(FormContext)?.fields.find((field) => field.name === name)?.detail;
}
