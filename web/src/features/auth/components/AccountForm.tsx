import type { ReactNode } from 'react';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { PasswordField } from '@/components/PasswordField';
import { entered, optional } from '@/lib/entered';
import { t } from '@/text/t';
import type { Beginner } from '../api/auth';

interface Props {
  readonly submit: string;
  readonly onSubmit: (person: Beginner, data: FormData) => Promise<unknown>;
  readonly children?: ReactNode;
}

/** What a new account needs: for who registers, and for the owner at the first start. */
export function AccountForm({ submit, onSubmit, children }: Props) {
  return (
    <Form
      submit={submit}
      onSubmit={(data) => {
        const email = optional(data, 'email');
        return onSubmit(
          {
            name: entered(data, 'name').trim().toLowerCase(),
            password: entered(data, 'password'),
            ...(email !== undefined && { email }),
          },
          data,
        );
      }}
    >
      {children}
      <TextField
        name="name"
        label={t('auth.name')}
        hint={t('auth.name.hint')}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={25}
        required
      />
      <TextField
        name="email"
        type="email"
        label={t('auth.email')}
        hint={t('auth.email.hint')}
        autoComplete="email"
        maxLength={254}
      />
      <PasswordField fresh />
    </Form>
  );
}
