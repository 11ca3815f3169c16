import { useState } from 'react';
import { editLadder, type Channel, type Ladder } from '@/api/channels';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { CheckField, SelectField } from './Field';
import { Form } from './Form';
import styles from './Form.module.css';

interface Props {
  readonly name: string;
  readonly ladder: Ladder;
  readonly onSaved: (channel: Channel) => Promise<unknown>;
}

/** When smaller pictures of a channel are made, and which: what the server lets this person choose. */
export function LadderForm({ name, ladder, onSaved }: Props) {
  const { site, effective, choices } = ladder;
  // What was chosen when the site made more stays in the list, though there is nothing of it now.
  const options = choices.some((choice) => choice.mode === ladder.mode) ? choices : [...choices, { mode: ladder.mode, rungs: [] }];
  const [mode, setMode] = useState(ladder.mode);
  const rungs = options.find((option) => option.mode === mode)?.rungs ?? [];
  return (
    <Form
      submit={t('ladder.save')}
      done={t('ladder.saved')}
      label={t('ladder.title')}
      onSubmit={async (data) => {
        const chosen = rungs.filter((rung) => entered(data, `rung-${rung}`) !== '');
        const everything = rungs.length === 0 || chosen.length === site.rungs.length;
        await onSaved(await editLadder(name, { mode, rungs: everything ? null : chosen }));
      }}
    >
      <SelectField
        name="ladder"
        label={t('ladder.mode')}
        value={mode}
        onChange={(event) => setMode(options.find((option) => option.mode === event.target.value)?.mode ?? mode)}
      >
        {options.map((option) => (
          <option key={option.mode} value={option.mode}>
            {option.mode === 'site' ? t('ladder.mode.site', { when: t(`ladder.when.${site.mode}`) }) : t(`ladder.mode.${option.mode}`)}
          </option>
        ))}
      </SelectField>
      {rungs.length > 0 && (
        <fieldset className={styles.checks}>
          <legend>{t('ladder.rungs')}</legend>
          {rungs.map((rung) => (
            <CheckField key={rung} name={`rung-${rung}`} label={rung} defaultChecked={ladder.rungs?.includes(rung) ?? true} />
          ))}
        </fieldset>
      )}
      <p className={styles.hint}>
        {effective.mode === 'off'
          ? t('ladder.next.off')
          : t('ladder.next', { rungs: effective.rungs.join(', '), when: t(`ladder.when.${effective.mode}`) })}
      </p>
    </Form>
  );
}
