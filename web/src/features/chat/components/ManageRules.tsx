import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Confirm } from '@/components/Confirm';
import { CheckField, SelectField, TextArea, TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { clearChat } from '../api/chat';
import { changeRoom, managed, type Hold, type ManagedRoom } from '../api/manage';
import type { Links } from '../engine/protocol';
import type { Outcome } from '../hooks/useModeration';
import { span } from '../model/span';
import { Loaded } from './Loaded';
import styles from './Manage.module.css';

interface Props {
  readonly channel: string;
  readonly tell: (outcome: Outcome) => void;
}

const SLOW = [0, 3, 5, 10, 30, 60, 120, 300];
const FOLLOWERS = [0, 600, 3_600, 86_400, 604_800, 2_592_000];
const AGES = [0, 3_600, 86_400, 604_800, 2_592_000];
const EVERYBODY = 'all';
const MOST_RULES = 1_000;

/** What holds for everybody in the room. */
export function ManageRules({ channel, tell }: Props) {
  return (
    <>
      <Loaded query={useQuery(managed(channel))}>{(room) => <RulesForm channel={channel} room={room} />}</Loaded>
      <section className={styles.section}>
        <h3 className={styles.heading}>{t('chat.room.clear')}</h3>
        <div>
          <Confirm
            trigger={t('chat.room.clear')}
            title={t('chat.room.clear.title')}
            body={t('chat.room.clear.body')}
            confirm={t('chat.room.clear.do')}
            look="danger"
            onConfirm={async () => {
              await clearChat(channel);
              tell({ sentence: t('chat.mod.done.clear'), failed: false });
            }}
          />
        </div>
      </section>
    </>
  );
}

function RulesForm({ channel, room }: { readonly channel: string; readonly room: ManagedRoom }) {
  const queries = useQueryClient();
  const { followers_only_s: followers } = room;
  return (
    <Form
      submit={t('chat.room.save')}
      done={t('chat.mod.done.room')}
      label={t('chat.room.title')}
      onSubmit={async (data) => {
        const who = entered(data, 'followers_only_s');
        const changed = await changeRoom(channel, {
          slow_mode_s: Number(entered(data, 'slow_mode_s')),
          followers_only_s: who === EVERYBODY ? null : Number(who),
          account_age_s: Number(entered(data, 'account_age_s')),
          links: entered(data, 'links') as Links,
          hold: entered(data, 'hold') as Hold,
          max_length: Number(entered(data, 'max_length')),
          subscribers_only: data.has('subscribers_only'),
          unique: data.has('unique'),
          emote_only: data.has('emote_only'),
          system_messages: data.has('system_messages'),
          follow_messages: data.has('follow_messages'),
          raid_messages: data.has('raid_messages'),
          takes_raids: data.has('takes_raids'),
          rules: entered(data, 'rules').trim(),
          appeal: entered(data, 'appeal').trim(),
        });
        queries.setQueryData(managed(channel).queryKey, changed);
      }}
    >
      <div className={styles.pair}>
        <SelectField name="slow_mode_s" label={t('chat.room.slow')} defaultValue={room.slow_mode_s}>
          {withChosen(SLOW, room.slow_mode_s).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? t('chat.room.off') : span(seconds)}
            </option>
          ))}
        </SelectField>
        <SelectField name="links" label={t('chat.room.links')} defaultValue={room.links}>
          <option value="allowed">{t('chat.room.links.allowed')}</option>
          <option value="trusted">{t('chat.room.links.trusted')}</option>
          <option value="nobody">{t('chat.room.links.nobody')}</option>
        </SelectField>
        <SelectField name="followers_only_s" label={t('chat.room.followers')} defaultValue={followers ?? EVERYBODY}>
          <option value={EVERYBODY}>{t('chat.room.followers.all')}</option>
          {withChosen(FOLLOWERS, followers ?? 0).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? t('chat.room.followers.any') : t('chat.room.followers.for', { time: span(seconds) })}
            </option>
          ))}
        </SelectField>
        <SelectField name="account_age_s" label={t('chat.room.age')} defaultValue={room.account_age_s}>
          {withChosen(AGES, room.account_age_s).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? t('chat.room.age.any') : t('chat.room.age.for', { time: span(seconds) })}
            </option>
          ))}
        </SelectField>
      </div>
      <SelectField name="hold" label={t('chat.room.hold')} hint={t('chat.room.hold.hint')} defaultValue={room.hold ?? 'off'}>
        <option value="off">{t('chat.room.hold.off')}</option>
        <option value="links_and_terms">{t('chat.room.hold.words')}</option>
        <option value="new_people">{t('chat.room.hold.new')}</option>
        <option value="all">{t('chat.room.hold.all')}</option>
      </SelectField>
      <TextField
        name="max_length"
        type="number"
        min={1}
        max={1_000}
        label={t('chat.room.length')}
        defaultValue={room.max_length}
        required
      />
      <CheckField name="subscribers_only" label={t('chat.room.subscribers')} defaultChecked={room.subscribers_only} />
      <CheckField name="unique" label={t('chat.room.unique')} defaultChecked={room.unique} />
      <CheckField name="emote_only" label={t('chat.room.emotes')} defaultChecked={room.emote_only} />
      <CheckField
        name="system_messages"
        label={t('chat.room.system')}
        hint={t('chat.room.system.hint')}
        defaultChecked={room.system_messages}
      />
      <CheckField name="follow_messages" label={t('chat.room.follows')} defaultChecked={room.follow_messages} />
      <CheckField name="raid_messages" label={t('chat.room.raids')} defaultChecked={room.raid_messages} />
      <CheckField name="takes_raids" label={t('chat.room.takesRaids')} defaultChecked={room.takes_raids} />
      <TextArea name="rules" label={t('chat.room.rules')} defaultValue={room.rules} maxLength={MOST_RULES} rows={3} />
      <TextArea
        name="appeal"
        label={t('chat.room.appeal')}
        hint={t('chat.room.appeal.hint')}
        defaultValue={room.appeal}
        maxLength={300}
        rows={2}
      />
    </Form>
  );
}

/** The usual choices and the one that holds, in order. */
function withChosen(usual: readonly number[], chosen: number): number[] {
  return [...new Set([...usual, chosen])].sort((one, other) => one - other);
}
