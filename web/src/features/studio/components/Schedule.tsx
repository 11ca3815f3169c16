import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { scheduleOf } from '@/api/schedule';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { CheckField, TextArea, TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { entered, optional } from '@/lib/entered';
import { weekdayTime } from '@/lib/format';
import { t } from '@/text/t';
import { addPlan, cancelDay, editPlan, plansOf, removePlan, restoreDay, type Plan, type PlanInput } from '../api/studio';
import { CategoryField } from './CategoryField';
import styles from './Schedule.module.css';

/** Days of the next weeks that can be cancelled one by one. */
const DAYS_SHOWN = 4;

function useRefresh(channel: string) {
  const queries = useQueryClient();
  return async () => {
    for (const { queryKey } of [plansOf(channel), scheduleOf(channel)]) await queries.invalidateQueries({ queryKey });
  };
}

/** What the channel is going to show, and when: followers see it, and calendars take it. */
export function Schedule({ channel }: { readonly channel: string }) {
  const plans = useQuery(plansOf(channel));
  const refresh = useRefresh(channel);
  return (
    <Panel title={t('schedule.title')} hint={t('schedule.hint')}>
      <ListState query={plans} empty={t('schedule.none')}>
        {(list) => (
          <ul className={rows.rows} data-testid="plans">
            {list.map((plan) => (
              <Planned key={plan.id} channel={channel} plan={plan} />
            ))}
          </ul>
        )}
      </ListState>
      <details className={styles.new}>
        <summary>{t('schedule.new')}</summary>
        <PlanForm
          submit={t('schedule.add')}
          onSubmit={async (input) => {
            await addPlan(channel, input);
            await refresh();
          }}
        />
      </details>
    </Panel>
  );
}

function Planned({ channel, plan }: { readonly channel: string; readonly plan: Plan }) {
  const [editing, setEditing] = useState(false);
  const { data: coming = [] } = useQuery(scheduleOf(channel));
  const refresh = useRefresh(channel);
  const days = plan.weekly ? coming.filter((one) => one.plan === plan.id).slice(0, DAYS_SHOWN) : [];
  const when = `${plan.starts.slice(0, 10)} ${plan.starts.slice(11, 16)}, ${plan.time_zone}`;
  return (
    <li className={rows.row}>
      <div className={rows.about}>
        <strong>{plan.title}</strong>
        <span>{plan.weekly ? t('schedule.weeklyFrom', { when }) : when}</span>
      </div>
      <Button look="quiet" aria-expanded={editing} onClick={() => setEditing(!editing)}>
        {t('schedule.change')}
      </Button>
      <Confirm
        trigger={t('schedule.remove')}
        triggerLabel={t('schedule.remove.label', { title: plan.title })}
        title={t('schedule.remove.title', { title: plan.title })}
        body={plan.weekly ? t('schedule.remove.series') : t('schedule.remove.body')}
        confirm={t('schedule.remove')}
        onConfirm={async () => {
          await removePlan(channel, plan.id);
          await refresh();
        }}
      />
      {days.length > 0 && (
        <ul className={styles.days} aria-label={t('schedule.days', { title: plan.title })}>
          {days.map((one) => (
            <li key={one.day}>
              <Form
                label={weekdayTime(one.starts_at)}
                submit={
                  one.cancelled
                    ? t('schedule.restore', { when: weekdayTime(one.starts_at) })
                    : t('schedule.cancel', { when: weekdayTime(one.starts_at) })
                }
                look={one.cancelled ? 'brass' : 'danger'}
                onSubmit={async () => {
                  await (one.cancelled ? restoreDay(channel, plan.id, one.day) : cancelDay(channel, plan.id, one.day));
                  await refresh();
                }}
              />
            </li>
          ))}
        </ul>
      )}
      {editing && (
        <div className={styles.edit}>
          <PlanForm
            plan={plan}
            submit={t('details.save')}
            onSubmit={async (input) => {
              await editPlan(channel, plan.id, input);
              await refresh();
              setEditing(false);
            }}
          />
        </div>
      )}
    </li>
  );
}

interface PlanFormProps {
  readonly plan?: Plan;
  readonly submit: string;
  readonly onSubmit: (input: PlanInput) => Promise<unknown>;
}

function PlanForm({ plan, submit, onSubmit }: PlanFormProps) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const send = (data: FormData) => {
    const until = optional(data, 'until');
    const weekly = data.has('weekly');
    return onSubmit({
      title: entered(data, 'title'),
      category: entered(data, 'category'),
      note: entered(data, 'note'),
      starts: entered(data, 'starts'),
      time_zone: entered(data, 'time_zone').trim(),
      minutes: Math.round(Number(entered(data, 'minutes'))),
      weekly,
      ...(weekly && until !== undefined && { until }),
    });
  };
  return (
    <Form submit={submit} onSubmit={send} clears={plan === undefined}>
      <TextField name="title" label={t('details.name')} defaultValue={plan?.title} maxLength={140} required />
      <TextField
        name="starts"
        type="datetime-local"
        label={t('schedule.starts')}
        defaultValue={plan?.starts.slice(0, 16)}
        required
      />
      <TextField
        name="time_zone"
        label={t('schedule.zone')}
        hint={t('schedule.zone.hint')}
        defaultValue={plan?.time_zone ?? here}
        maxLength={64}
        autoComplete="off"
        spellCheck={false}
        required
      />
      <TextField
        name="minutes"
        type="number"
        label={t('schedule.minutes')}
        defaultValue={plan?.minutes ?? 120}
        min={5}
        max={1_440}
        required
      />
      <CheckField name="weekly" label={t('schedule.weekly')} defaultChecked={plan?.weekly} />
      <TextField
        name="until"
        type="date"
        label={t('schedule.until')}
        hint={t('schedule.until.hint')}
        defaultValue={plan?.until ?? ''}
      />
      <CategoryField value={plan?.category ?? ''} />
      <TextArea name="note" label={t('schedule.note')} defaultValue={plan?.note} maxLength={500} rows={2} />
    </Form>
  );
}
