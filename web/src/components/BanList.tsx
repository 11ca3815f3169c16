import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { date } from '@/lib/format';
import { t } from '@/text/t';

interface Banned {
  readonly name: string;
  readonly display_name: string;
  readonly avatar_url?: string | null;
  readonly reason: string;
  readonly at: string;
}

interface Props {
  readonly title: string;
  readonly hint: string;
  readonly list: {
    readonly data: readonly Banned[] | undefined;
    readonly isError: boolean;
    readonly refetch: () => unknown;
  };
  /** Shows more of them, if there are more. */
  readonly more: (() => void) | null;
  readonly onBan: (name: string, reason: string) => Promise<unknown>;
  readonly onLift: (name: string) => Promise<unknown>;
}

/** Who may say nothing in many chats. */
export function BanList({ title, hint, list: { data, isError, refetch }, more, onBan, onLift }: Props) {
  return (
    <Panel title={title} hint={hint}>
      <ListState query={{ data: data && [...data], isError, refetch }} empty={t('bans.none')}>
        {(people) => (
          <ul className={rows.rows} data-testid="bans">
            {people.map(({ name, display_name, avatar_url, reason, at }) => (
              <li key={name} className={rows.row}>
                <Avatar name={name} picture={avatar_url} />
                <div className={rows.about}>
                  <strong>{display_name}</strong>
                  <span>{[name, t('followers.since', { when: date(at) }), reason].filter(Boolean).join(' · ')}</span>
                </div>
                <Confirm
                  trigger={t('bans.lift')}
                  triggerLabel={t('bans.lift.label', { name })}
                  title={t('bans.lift.title', { name })}
                  body={t('bans.lift.body')}
                  confirm={t('bans.lift')}
                  onConfirm={() => onLift(name)}
                />
              </li>
            ))}
          </ul>
        )}
      </ListState>
      {more !== null && (
        <Button look="quiet" onClick={more}>
          {t('history.more')}
        </Button>
      )}
      <Form
        submit={t('bans.add')}
        clears
        onSubmit={(data) =>
          onBan(entered(data, 'person').trim().replace(/^@/, '').toLowerCase(), entered(data, 'reason').trim())
        }
      >
        <TextField
          name="person"
          label={t('bans.person')}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={26}
          required
        />
        <TextField name="reason" label={t('bans.reason')} hint={t('bans.reason.hint')} autoComplete="off" maxLength={200} />
      </Form>
    </Panel>
  );
}
