import { BarChart3, Check, X } from 'lucide-react';
import { useId, useState, type CSSProperties } from 'react';
import { Button } from '@/components/Button';
import { failureOf } from '@/components/Form';
import { clock, count } from '@/lib/format';
import { useCountdown } from '@/lib/useCountdown';
import { t } from '@/text/t';
import { closePoll } from '../api/polls';
import type { Poll } from '../engine/protocol';
import type { Outcome } from '../hooks/useModeration';
import { useVote } from '../hooks/useVote';
import { leaders, share } from '../model/poll';
import styles from './PollPanel.module.css';

interface Props {
  readonly channel: string;
  readonly poll: Poll;
  /** Whether it began while this page was there. */
  readonly fresh: boolean;
  readonly signedIn: boolean;
  readonly moderates: boolean;
  readonly tell: (outcome: Outcome | null) => void;
}

/** The question to the room: one votes, watches, and reads the result until one has enough of it. */
export function PollPanel({ channel, poll, fresh, signedIn, moderates, tell }: Props) {
  const [hidden, setHidden] = useState(false);
  const left = useCountdown(Date.parse(poll.closes_at));
  const running = poll.open && left > 0;
  const votes = poll.counts.reduce((all, one) => all + one, 0);
  const close = () => {
    closePoll(channel, poll.id).then(
      () => tell(null),
      (error: unknown) => tell({ sentence: failureOf(error).sentence, failed: true }),
    );
  };
  return (
    <>
      <span className="visually-hidden" role="status">
        {poll.open ? t('chat.poll.began', { question: poll.question }) : spoken(poll, votes)}
      </span>
      {!hidden && (
        <section className={styles.poll} aria-label={t('chat.poll')} data-testid="chat-poll" data-open={running}>
          <header className={styles.header}>
            <BarChart3 size={14} aria-hidden="true" />
            <span>{t('chat.poll')}</span>
            <span className={styles.time}>
              {running ? clock(left) : poll.open ? t('chat.poll.counting') : t('chat.poll.over')}
            </span>
            {moderates && running && (
              <button type="button" className={styles.end} onClick={close}>
                {t('chat.poll.end')}
              </button>
            )}
            <button type="button" className={styles.hide} aria-label={t('chat.poll.hide')} onClick={() => setHidden(true)}>
              <X size={16} aria-hidden="true" />
            </button>
          </header>
          {running && signedIn ? (
            <Ballot channel={channel} poll={poll} votes={votes} fresh={fresh} />
          ) : (
            <>
              <p className={styles.question}>{poll.question}</p>
              <ul className={styles.answers}>
                {poll.answers.map((answer, at) => (
                  <li key={answer} className={styles.answer} data-first={!poll.open && leaders(poll.counts).includes(at)}>
                    <Bar answer={answer} votes={poll.counts[at] ?? 0} all={votes} />
                  </li>
                ))}
              </ul>
            </>
          )}
          <p className={styles.votes}>
            {votes === 1 ? t('chat.poll.votes.one') : t('chat.poll.votes', { count: count(votes) })}
            {running && !signedIn && ` · ${t('chat.poll.signin')}`}
          </p>
        </section>
      )}
    </>
  );
}

interface BallotProps {
  readonly channel: string;
  readonly poll: Poll;
  readonly votes: number;
  readonly fresh: boolean;
}

function Ballot({ channel, poll, votes, fresh }: BallotProps) {
  const name = useId();
  const { voted, error, busy, cast } = useVote(channel, poll.id, !fresh);
  const [picked, pick] = useState<number | null>(null);
  const chosen = picked ?? voted;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (chosen !== null && chosen !== voted && !busy) cast(chosen);
      }}
    >
      <fieldset className={styles.fieldset}>
        <legend className={styles.question}>{poll.question}</legend>
        {poll.answers.map((answer, at) => (
          <label key={answer} className={styles.answer} data-picked={chosen === at}>
            <input type="radio" name={name} value={at} checked={chosen === at} onChange={() => pick(at)} />
            <Bar answer={answer} votes={poll.counts[at] ?? 0} all={votes} own={voted === at} />
          </label>
        ))}
      </fieldset>
      {error !== null && (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      {(voted === null || chosen !== voted) && (
        <Button type="submit" look="quiet" className={styles.vote} disabled={busy || chosen === null}>
          {t(voted === null ? 'chat.poll.vote' : 'chat.poll.change')}
        </Button>
      )}
    </form>
  );
}

interface BarProps {
  readonly answer: string;
  readonly votes: number;
  readonly all: number;
  readonly own?: boolean;
}

function Bar({ answer, votes, all, own = false }: BarProps) {
  const percent = share(votes, all);
  return (
    <span className={styles.bar} style={{ '--share': `${String(percent)}%` } as CSSProperties}>
      <span className={styles.text}>{answer}</span>
      {own && <Check size={14} role="img" aria-label={t('chat.poll.own')} />}
      <span className={styles.percent}>{percent} %</span>
    </span>
  );
}

/** The result in a sentence. */
function spoken(poll: Poll, votes: number): string {
  if (votes === 0) return t('chat.poll.result.none', { question: poll.question });
  const first = leaders(poll.counts);
  const answer = first.map((at) => poll.answers[at]).join(', ');
  return t('chat.poll.result', { question: poll.question, answer, percent: share(Math.max(...poll.counts), votes) });
}
