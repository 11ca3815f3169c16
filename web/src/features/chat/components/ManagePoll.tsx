import { useState } from 'react';
import { Button } from '@/components/Button';
import { SelectField, TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { entered } from '@/lib/entered';
import { t } from '@/text/t';
import { openPoll } from '../api/polls';
import { span } from '../model/span';
import styles from './Manage.module.css';

interface Props {
  readonly channel: string;
  /** It runs now. */
  readonly onOpened: () => void;
}

const FEWEST = 2;
const MOST = 6;
const TIMES = [30, 60, 120, 300, 600, 1_800];

/** A new question to everybody in the room. */
export function ManagePoll({ channel, onOpened }: Props) {
  const [fields, setFields] = useState(FEWEST);
  return (
    <Form
      submit={t('chat.poll.open')}
      label={t('chat.poll.new')}
      onSubmit={async (data) => {
        const answers = Array.from({ length: fields }, (_, at) => entered(data, `answer${String(at)}`).trim());
        await openPoll(channel, {
          question: entered(data, 'question').trim(),
          answers: answers.filter((answer) => answer !== ''),
          seconds: Number(entered(data, 'seconds')),
        });
        onOpened();
      }}
    >
      <p className={styles.hint}>{t('chat.poll.hint')}</p>
      <TextField name="question" label={t('chat.poll.question')} maxLength={140} autoComplete="off" required />
      {Array.from({ length: fields }, (_, at) => (
        <TextField
          key={at}
          name={`answer${String(at)}`}
          label={t('chat.poll.answer', { number: at + 1 })}
          maxLength={60}
          autoComplete="off"
          required={at < FEWEST}
        />
      ))}
      {fields < MOST && (
        <div>
          <Button look="quiet" onClick={() => setFields(fields + 1)}>
            {t('chat.poll.more')}
          </Button>
        </div>
      )}
      <SelectField name="seconds" label={t('chat.poll.seconds')} defaultValue={120}>
        {TIMES.map((seconds) => (
          <option key={seconds} value={seconds}>
            {span(seconds)}
          </option>
        ))}
      </SelectField>
    </Form>
  );
}
