import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { CopyField } from '@/components/CopyField';
import { CheckField, TextField } from '@/components/Field';
import { Form, failureOf } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { ago } from '@/lib/format';
import { t } from '@/text/t';
import {
  createWebhook,
  removeWebhook,
  rotateWebhook,
  testWebhook,
  turnWebhook,
  webhookDeliveries,
  webhooks,
  type NewWebhook,
  type Webhook,
  type WebhookAttempt,
} from '../api/studio';
import connect from './Connect.module.css';
import styles from './Webhooks.module.css';

const EVENTS = [
  'message.sent',
  'message.removed',
  'person.timed_out',
  'person.banned',
  'person.pardoned',
  'room.updated',
  'stream.started',
  'stream.ended',
  'channel.followed',
] as const;
const USUAL: readonly string[] = ['message.sent', 'stream.started', 'stream.ended'];

/** Programs that are told what happens on the channel. */
export function Webhooks({ channel }: { readonly channel: string }) {
  const list = useQuery(webhooks(channel));
  const queries = useQueryClient();
  const [fresh, setFresh] = useState<NewWebhook | null>(null);
  const refresh = () => queries.invalidateQueries({ queryKey: webhooks(channel).queryKey });
  const show = async (hook: NewWebhook) => {
    setFresh(hook);
    await refresh();
  };
  return (
    <Panel id="webhooks" title={t('hooks.title')} hint={t('hooks.hint')}>
      {fresh !== null && (
        <div className={connect.fresh} role="status">
          <p>{t('hooks.once')}</p>
          <CopyField label={t('hooks.secret')} value={fresh.secret} />
          <Button look="quiet" onClick={() => setFresh(null)}>
            {t('keys.secret.done')}
          </Button>
        </div>
      )}
      <ListState query={list} empty={t('hooks.none')}>
        {(hooks) => (
          <ul className={rows.rows} data-testid="webhooks">
            {hooks.map((hook) => (
              <Hook key={hook.id} channel={channel} hook={hook} onFresh={show} refresh={refresh} />
            ))}
          </ul>
        )}
      </ListState>
      <Form
        submit={t('hooks.create')}
        clears
        onSubmit={async (data) => {
          const name = entered(data, 'name').trim();
          const events = EVENTS.filter((event) => data.has(event));
          await show(await createWebhook(channel, { name, url: entered(data, 'url').trim(), events }));
        }}
      >
        <TextField
          name="name"
          label={t('hooks.name')}
          placeholder={t('hooks.name.placeholder')}
          autoComplete="off"
          maxLength={50}
          required
        />
        <TextField
          name="url"
          type="url"
          label={t('hooks.url')}
          hint={t('hooks.url.hint')}
          autoComplete="off"
          spellCheck={false}
          maxLength={1024}
          required
        />
        <fieldset className={styles.events}>
          <legend>{t('hooks.events')}</legend>
          {EVENTS.map((event) => (
            <CheckField key={event} name={event} label={t(`hooks.event.${event}`)} defaultChecked={USUAL.includes(event)} />
          ))}
        </fieldset>
      </Form>
    </Panel>
  );
}

interface HookProps {
  readonly channel: string;
  readonly hook: Webhook;
  readonly onFresh: (hook: NewWebhook) => Promise<void>;
  readonly refresh: () => Promise<void>;
}

function Hook({ channel, hook, onFresh, refresh }: HookProps) {
  const { id, name, url } = hook;
  const [open, setOpen] = useState(false);
  const [said, setSaid] = useState('');
  /** Does it, and says what went wrong. */
  const run = async (deed: () => Promise<unknown>, done: string) => {
    try {
      await deed();
      setSaid(done);
    } catch (caught) {
      setSaid(failureOf(caught).sentence);
    }
    await refresh();
  };
  return (
    <li className={rows.row}>
      <div className={rows.about}>
        <strong>{name}</strong>
        <span className={styles.url}>{url}</span>
        <span className={hook.disabled !== undefined || hook.failing_since !== undefined ? styles.bad : undefined}>
          {stateOf(hook)}
        </span>
      </div>
      <div className={styles.deeds}>
        {hook.disabled === undefined ? (
          <>
            <Button
              look="quiet"
              aria-label={t('hooks.test.label', { name })}
              onClick={() =>
                void run(async () => {
                  await testWebhook(channel, id);
                  setOpen(true);
                }, t('hooks.tested'))
              }
            >
              {t('hooks.test')}
            </Button>
            <Confirm
              trigger={t('hooks.turnOff')}
              triggerLabel={t('hooks.turnOff.label', { name })}
              title={t('hooks.turnOff.title', { name })}
              body={t('hooks.turnOff.body')}
              confirm={t('hooks.turnOff')}
              onConfirm={async () => {
                await turnWebhook(channel, id, false);
                await refresh();
              }}
            />
          </>
        ) : (
          <Button
            look="quiet"
            aria-label={t('hooks.turnOn.label', { name })}
            onClick={() => void run(() => turnWebhook(channel, id, true), '')}
          >
            {t('hooks.turnOn')}
          </Button>
        )}
        <Confirm
          trigger={t('hooks.rotate')}
          triggerLabel={t('hooks.rotate.label', { name })}
          title={t('hooks.rotate.title', { name })}
          body={t('hooks.rotate.body')}
          confirm={t('hooks.rotate')}
          onConfirm={async () => onFresh(await rotateWebhook(channel, id))}
        />
        <Confirm
          trigger={t('hooks.remove')}
          triggerLabel={t('hooks.remove.label', { name })}
          title={t('hooks.remove.title', { name })}
          body={t('hooks.remove.body')}
          confirm={t('hooks.remove')}
          onConfirm={async () => {
            await removeWebhook(channel, id);
            await refresh();
          }}
        />
      </div>
      <p role="status" className={styles.said}>
        {said}
      </p>
      <details className={styles.attempts} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary aria-label={t('hooks.deliveries.label', { name })}>{t('hooks.deliveries')}</summary>
        {open && <Attempts channel={channel} id={id} />}
      </details>
    </li>
  );
}

function Attempts({ channel, id }: { readonly channel: string; readonly id: string }) {
  const list = useQuery(webhookDeliveries(channel, id));
  return (
    <ListState query={list} empty={t('hooks.deliveries.none')}>
      {(attempts) => (
        <ol className={styles.list}>
          {attempts.map((attempt) => (
            <li key={`${attempt.delivery}:${attempt.number}`}>
              <span className={isTaken(attempt) ? styles.good : styles.bad}>{outcomeOf(attempt)}</span>{' '}
              <span>{aboutOf(attempt)}</span>
            </li>
          ))}
        </ol>
      )}
    </ListState>
  );
}

const isTaken = ({ status }: WebhookAttempt) => status !== undefined && status !== null && status >= 200 && status < 300;

function outcomeOf({ status, error }: WebhookAttempt): string {
  if (typeof status === 'number') return t('hooks.attempt.answer', { status });
  return t(`hooks.error.${error ?? 'broken'}`);
}

function aboutOf({ first, events, number, at }: WebhookAttempt): string {
  const what = events > 1 ? t('hooks.attempt.many', { type: first, count: events - 1 }) : first;
  const again = number > 1 ? [t('hooks.attempt.again', { number })] : [];
  return [what, ...again, ago(at)].join(' · ');
}

function stateOf({ disabled, failing_since, waiting, lost }: Webhook): string {
  const state = disabled
    ? t(`hooks.off.${disabled}`)
    : failing_since
      ? t('hooks.failing', { when: ago(failing_since) })
      : t('hooks.on');
  return [
    state,
    ...(waiting > 0 ? [t('hooks.waiting', { count: waiting })] : []),
    ...(lost > 0 ? [t('hooks.lost', { count: lost })] : []),
  ].join(' · ');
}
