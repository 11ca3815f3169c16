import { SendHorizontal, X } from 'lucide-react';
import { useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from 'react';
import { Link, useLocation } from 'react-router';
import { clock } from '@/lib/format';
import { t } from '@/text/t';
import type { Chat, ChatView } from '../engine/chat';
import type { Message, You } from '../engine/protocol';
import { useCountdown } from '@/lib/useCountdown';
import { useDraft } from '../hooks/useDraft';
import { useRoomEmotes } from '../hooks/useEmotes';
import { completed, completions, typedMention } from '../model/completion';
import { offeredFor, typedEmote, withEmote } from '../model/emotes';
import { EmotePicker } from './EmotePicker';
import { QuoteLine } from './MessageRow';
import styles from './Composer.module.css';

interface Props {
  readonly channel: string;
  readonly chat: Chat;
  readonly view: ChatView;
  readonly replyTo: Message | null;
  readonly onReplied: () => void;
  /** Counts the wishes to write here: each takes the focus. */
  readonly focus: number;
  /** A name to mention, and how many were wished for so far. */
  readonly mention: { readonly name: string; readonly wish: number } | null;
}

/** Something that can be put in the place of what is being typed. */
interface Choice {
  readonly key: string;
  readonly text: string;
  /** Its picture, if it is an emote of the room. */
  readonly url: string | null;
  /** The text with it in its place, and where the caret stands then. */
  readonly take: () => { readonly text: string; readonly caret: number } | null;
}

/** How many characters are left when the counter appears. */
const COUNTED = 80;
const QUOTED = 100;

/** Where one writes; or why one cannot. */
export function Composer(props: Props) {
  const { view } = props;
  const { pathname } = useLocation();
  if (!view.welcomed) return null;
  if (view.you === null) {
    return (
      <div className={styles.signin}>
        <Link to={`/login?next=${pathname}`} className={styles.signinLink}>
          {t('chat.signin')}
        </Link>
        <p>{t('chat.signin.hint')}</p>
      </div>
    );
  }
  return view.you.may_send ? <Writing {...props} you={view.you} /> : <Silenced you={view.you} />;
}

function Silenced({ you }: { readonly you: You }) {
  const until = you.why_not?.until === undefined ? 0 : Date.parse(you.why_not.until);
  const left = useCountdown(Number.isNaN(until) ? 0 : until);
  const detail = you.why_not?.detail || t('chat.mute');
  return (
    <p className={styles.silenced} role="status" data-testid="chat-silenced">
      {left > 0 ? t('chat.mute.until', { detail, time: clock(left) }) : detail}
    </p>
  );
}

function Writing({ channel, chat, view, replyTo, onReplied, focus, mention, you }: Props & { readonly you: You }) {
  const [draft, setDraft] = useDraft(channel);
  const [caret, setCaret] = useState(draft.length);
  const [chosen, setChosen] = useState(0);
  const [closed, setClosed] = useState(false);
  const [full, setFull] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const list = useId();
  const wait = useCountdown(view.quietUntil);
  const emotes = useRoomEmotes();

  const most = view.room?.max_length ?? 500;
  const left = most - Array.from(draft.trim()).length;
  const empty = draft.trim() === '';
  const typed = closed ? null : typedMention(draft, caret);
  const names = typed === null ? [] : completions(typed.prefix, view.entries, view.chatters.names, you.name);
  const emote = closed || typed !== null ? null : typedEmote(draft, caret);
  const pictures = emote === null ? [] : offeredFor(emote.prefix, emotes);
  const choices: readonly Choice[] = [
    ...names.map((name) => ({ key: `@${name}`, url: null, text: `@${name}`, take: () => typed && completed(draft, caret, typed, name) })),
    ...pictures.map(({ name, text, url }) => ({
      key: `:${name}:`,
      url,
      text: url === null ? `${text} ${name.replaceAll('_', ' ')}` : text,
      take: () => emote && withEmote(draft, emote.start, caret, text),
    })),
  ];
  const offered = choices[Math.min(chosen, choices.length - 1)];

  // As high as what is written; the style sheet bounds it.
  useLayoutEffect(() => {
    const element = field.current;
    if (element === null) return;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight + 2}px`;
  }, [draft]);

  useEffect(() => {
    if (focus > 0) field.current?.focus();
  }, [focus]);
  useEffect(() => {
    if (replyTo !== null) field.current?.focus();
  }, [replyTo]);

  // The mention that somebody asked for elsewhere is written once.
  const [mentioned, setMentioned] = useState(mention?.wish ?? 0);
  if (mention !== null && mention.wish !== mentioned) {
    setMentioned(mention.wish);
    setDraft(`${draft}${draft === '' || draft.endsWith(' ') ? '' : ' '}@${mention.name} `);
  }

  const complete = ({ take }: Pick<Choice, 'take'>) => {
    const next = take();
    if (next === null) return;
    setDraft(next.text);
    setCaret(next.caret);
    setChosen(0);
    requestAnimationFrame(() => field.current?.setSelectionRange(next.caret, next.caret));
  };

  const send = () => {
    if (empty || left < 0 || wait > 0) return;
    const author = replyTo?.author;
    const quote =
      replyTo === null || author == null
        ? null
        : { id: replyTo.id, name: author.name, text: Array.from(replyTo.text).slice(0, QUOTED).join('') };
    if (!chat.say(draft.trim(), quote)) {
      setFull(true);
      return;
    }
    setFull(false);
    setDraft('');
    setCaret(0);
    onReplied();
  };

  const keys = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (offered !== undefined) {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        setChosen((chosen + (event.key === 'ArrowDown' ? 1 : choices.length - 1)) % choices.length);
        return;
      }
      if (event.key === 'Tab' || event.key === 'Enter') {
        event.preventDefault();
        complete(offered);
        return;
      }
      if (event.key === 'Escape') {
        event.preventDefault();
        setClosed(true);
        return;
      }
    }
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === 'Escape' && replyTo !== null) onReplied();
  };

  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {replyTo?.author != null && (
        <div className={styles.replying}>
          <div className={styles.quoted}>
            <p className={styles.replyingTo}>{t('chat.replying', { name: replyTo.author.display_name })}</p>
            <QuoteLine quote={{ id: replyTo.id, name: replyTo.author.name, text: replyTo.text }} />
          </div>
          <button type="button" className={styles.cancel} aria-label={t('chat.reply.cancel')} onClick={onReplied}>
            <X size={16} aria-hidden="true" />
          </button>
        </div>
      )}
      {full && (
        <p className={styles.complaint} role="alert">
          {t('chat.failed.full')}
        </p>
      )}
      {view.complaint !== null && (
        <p className={styles.complaint} role="alert">
          {view.complaint}
        </p>
      )}
      {offered !== undefined && (
        <ul className={styles.people} id={list} role="listbox" aria-label={t(typed === null ? 'chat.emotes' : 'chat.people')}>
          {choices.map((choice) => (
            <li
              key={choice.key}
              id={`${list}-${choice.key}`}
              role="option"
              aria-selected={choice === offered}
              className={styles.person}
              onPointerDown={(event) => {
                event.preventDefault();
                complete(choice);
              }}
            >
              {choice.url !== null && <img className={styles.offered} src={choice.url} alt="" />}
              {choice.text}
            </li>
          ))}
        </ul>
      )}
      <div className={styles.line}>
        <textarea
          ref={field}
          className={styles.field}
          rows={1}
          value={draft}
          aria-label={t('chat.compose')}
          placeholder={t('chat.compose.placeholder')}
          aria-invalid={left < 0}
          aria-autocomplete="list"
          aria-controls={offered === undefined ? undefined : list}
          aria-activedescendant={offered === undefined ? undefined : `${list}-${offered.key}`}
          onChange={(event) => {
            setDraft(event.target.value);
            setCaret(event.target.selectionStart);
            setChosen(0);
            setClosed(false);
            if (view.complaint !== null) chat.excuse();
          }}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
          onKeyDown={keys}
          onBlur={() => setClosed(true)}
          data-testid="chat-input"
        />
        <EmotePicker
          onPick={(text) => {
            complete({ take: () => withEmote(draft, caret, caret, text) });
            field.current?.focus();
          }}
        />
        <button
          type="submit"
          className={styles.send}
          disabled={empty || left < 0 || wait > 0}
          aria-label={wait > 0 ? t('chat.send.wait', { time: clock(wait) }) : t('chat.send')}
        >
          {wait > 0 ? <span className={styles.wait}>{wait}</span> : <SendHorizontal size={19} aria-hidden="true" />}
        </button>
      </div>
      {wait > 0 && <p className={styles.note}>{t('chat.slow', { time: clock(wait) })}</p>}
      {left <= COUNTED && (
        <p className={styles.note} data-over={left < 0} role="status">
          {left < 0 ? t('chat.over', { count: -left }) : t('chat.left', { count: left })}
        </p>
      )}
    </form>
  );
}
