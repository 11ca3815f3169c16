import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { me, type Me } from '@/api/me';
import { signInOptions } from '@/api/sign-in-options';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { TextArea, TextField } from '@/components/Field';
import { failureOf, Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { PasswordField } from '@/components/PasswordField';
import { entered, optional } from '@/lib/entered';
import { t } from '@/text/t';
import { askForProof, editProfile, removeAvatar, uploadAvatar } from '../api/account';
import { ConfirmIdentity } from './ConfirmIdentity';
import styles from './Account.module.css';

const PICTURE_MAX_BYTES = 5 * 1024 * 1024;

/** What others see of a person: name, words, picture. */
export function Profile({ person }: { readonly person: Me }) {
  const queries = useQueryClient();
  return (
    <Panel id="profile" title={t('profile.title')} hint={t('profile.hint')}>
      <Picture person={person} />
      <Form
        submit={t('profile.save')}
        done={t('form.saved')}
        onSubmit={async (data) => {
          const changed = await editProfile({
            display_name: entered(data, 'display_name').trim(),
            bio: entered(data, 'bio').trim(),
          });
          queries.setQueryData(me().queryKey, changed);
        }}
      >
        <TextField
          name="display_name"
          label={t('profile.displayName')}
          defaultValue={person.display_name}
          autoComplete="nickname"
          maxLength={50}
          required
        />
        <TextArea name="bio" label={t('profile.bio')} defaultValue={person.bio} maxLength={500} />
      </Form>
    </Panel>
  );
}

function Picture({ person }: { readonly person: Me }) {
  const queries = useQueryClient();
  const file = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<{ readonly text: string; readonly wrong: boolean } | null>(null);

  const run = async (work: () => Promise<unknown>, done: string) => {
    setBusy(true);
    setSaid(null);
    try {
      await work();
      await queries.invalidateQueries({ queryKey: me().queryKey, exact: true });
      setSaid({ text: done, wrong: false });
    } catch (error) {
      setSaid({ text: failureOf(error).sentence, wrong: true });
    } finally {
      setBusy(false);
    }
  };
  const choose = (picture: File | undefined) => {
    if (picture === undefined) return;
    if (picture.size > PICTURE_MAX_BYTES) setSaid({ text: t('profile.picture.large'), wrong: true });
    else void run(() => uploadAvatar(picture), t('profile.picture.done'));
  };

  return (
    <div className={styles.picture}>
      <Avatar name={person.name} picture={person.avatar_url} />
      <div className={styles.pictureSide}>
        <div className={styles.buttons}>
          <Button look="quiet" disabled={busy} onClick={() => file.current?.click()}>
            {busy ? t('profile.picture.sending') : t('profile.picture.choose')}
          </Button>
          {person.avatar_url && (
            <Button look="quiet" disabled={busy} onClick={() => void run(removeAvatar, '')}>
              {t('profile.picture.remove')}
            </Button>
          )}
        </div>
        <input
          ref={file}
          className="visually-hidden"
          tabIndex={-1}
          type="file"
          accept="image/png,image/jpeg,image/webp"
          aria-label={t('profile.picture')}
          onChange={(event) => {
            choose(event.target.files?.[0]);
            event.target.value = '';
          }}
        />
        <p className={styles.hint}>{t('profile.picture.hint')}</p>
        <p role="status" className={said?.wrong === true ? styles.wrong : styles.said}>
          {said?.text ?? ''}
        </p>
      </div>
    </div>
  );
}

/** The person's address; where this site sends mail, a new one counts once its mail was answered. */
export function EmailAddress({ person }: { readonly person: Me }) {
  const queries = useQueryClient();
  const waiting = person.new_email ?? null;
  const { data: options } = useQuery(signInOptions());
  // An address from before this site sent mail can be proved too.
  const old = options?.mail === true && !person.email_verified ? (person.email ?? null) : null;
  const unproved = waiting ?? old;
  // Whoever reads its mail can set a new password, so another address takes a proof.
  const proof = options?.mail === true && person.email != null;
  const form = (
    <Form
      submit={t('email.save')}
      done={t('form.saved')}
      onSubmit={async (data) => {
        const password = entered(data, 'password');
        const email = optional(data, 'email') ?? null;
        queries.setQueryData(me().queryKey, await editProfile({ email, ...(password !== '' && { password }) }));
      }}
    >
      <TextField
        name="email"
        type="email"
        label={t('auth.email')}
        hint={person.email && person.email_verified ? t('email.verified') : undefined}
        defaultValue={waiting ?? person.email ?? ''}
        autoComplete="email"
        maxLength={254}
      />
      {proof && person.has_password && <PasswordField name="password" label={t('email.password')} />}
    </Form>
  );
  return (
    <Panel id="email" title={t('email.title')} hint={t('email.hint')}>
      {unproved !== null && (
        <div role="status" className={styles.waiting} data-testid="unproved">
          <p>{waiting === null ? t('email.unproved', { address: unproved }) : t('email.waiting', { address: waiting })}</p>
          <Form submit={waiting === null ? t('email.prove') : t('email.again')} done={t('email.again.done')} look="quiet" onSubmit={askForProof} />
        </div>
      )}
      {proof && !person.has_password ? <ConfirmIdentity>{form}</ConfirmIdentity> : form}
    </Panel>
  );
}
