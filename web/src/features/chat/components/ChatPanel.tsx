import { ChevronDown, ExternalLink, PanelRightClose, Users } from 'lucide-react';
import { useCallback, useState } from 'react';
import { count } from '@/lib/format';
import { useSettings } from '@/lib/useSettings';
import { t } from '@/text/t';
import type { Author, Message } from '../engine/protocol';
import { useChat } from '../hooks/useChat';
import { EmotesContext, useEmotes } from '../hooks/useEmotes';
import { useModeration } from '../hooks/useModeration';
import { Announcer } from './Announcer';
import { BanDialog } from './BanDialog';
import { ChatSettings } from './ChatSettings';
import { ChatState } from './ChatState';
import { Composer } from './Composer';
import { HeldQueue } from './HeldQueue';
import { Manage } from './Manage';
import { MessageList } from './MessageList';
import { PersonCard } from './PersonCard';
import { Pinned } from './Pinned';
import { PollPanel } from './PollPanel';
import { RaidBanner } from './RaidBanner';
import { RoomModes } from './RoomModes';
import { Rules } from './Rules';
import styles from './ChatPanel.module.css';

interface Props {
  readonly channel: string;
  /** Hides the panel; absent where it is all there is. */
  readonly onHide?: (() => void) | undefined;
  /** Counts the wishes to write: each takes the focus to where one writes. */
  readonly focus?: number;
}

/** The chat of a channel, whole. Another channel or another person needs another one (`key`). */
export function ChatPanel({ channel, onHide, focus = 0 }: Props) {
  const [chat, view] = useChat(channel);
  const [settings, change] = useSettings();
  const [replyTo, setReplyTo] = useState<Message | null>(null);
  const [card, setCard] = useState<{ readonly author: Author; readonly anchor: HTMLElement } | null>(null);
  const [mention, setMention] = useState<{ readonly name: string; readonly wish: number } | null>(null);
  /** What of the room is being looked after; `null` as long as that is closed. */
  const [managing, setManaging] = useState<{ readonly author?: string } | null>(null);
  const { moderation, outcome, tell, banning, endBan } = useModeration(channel);
  const showPerson = useCallback((author: Author, anchor: HTMLElement) => setCard({ author, anchor }), []);
  const closeCard = useCallback(() => setCard(null), []);
  const replied = useCallback(() => setReplyTo(null), []);

  const { room, you, chatters, welcomed } = view;
  const emotes = useEmotes(channel, room?.emotes ?? null);
  const moderates = you?.moderates === true;
  const here = t('chat.readers', { count: count(chatters.readers), chatters: count(chatters.count) });
  return (
    <EmotesContext value={emotes}>
      <section className={styles.panel} aria-label={t('chat.of', { channel })} data-testid="chat" data-phase={view.phase.kind}>
        <header className={styles.header}>
          <h2 className={styles.title}>{t('chat.title')}</h2>
          {welcomed && (
            <span className={styles.here} title={here}>
              <Users size={15} aria-hidden="true" />
              <span aria-hidden="true">{count(chatters.readers)}</span>
              <span className="visually-hidden">{here}</span>
            </span>
          )}
          <span className={styles.tools}>
            {moderates && (
              <Manage
                channel={channel}
                you={you}
                tell={tell}
                author={managing?.author}
                open={managing !== null}
                onOpen={(open) => setManaging(open ? {} : null)}
              />
            )}
            <ChatSettings announce={settings.announceChat} onAnnounce={(announceChat) => change({ announceChat })} />
            {onHide !== undefined && (
              <>
                <a
                  href={`/@${channel}/chat`}
                  target={`millrace-chat-${channel}`}
                  rel="opener"
                  className={`${styles.tool} ${styles.popout}`}
                  aria-label={t('chat.popout')}
                  title={t('chat.popout')}
                  onClick={(event) => {
                    if (popOut(event.currentTarget.href, event.currentTarget.target)) {
                      event.preventDefault();
                      onHide();
                    }
                  }}
                >
                  <ExternalLink size={18} aria-hidden="true" />
                </a>
                <button
                  type="button"
                  className={styles.tool}
                  aria-label={t('chat.hide')}
                  aria-expanded="true"
                  title={t('chat.hide')}
                  onClick={onHide}
                >
                  <PanelRightClose size={18} aria-hidden="true" className={styles.wide} />
                  <ChevronDown size={20} aria-hidden="true" className={styles.narrow} />
                </button>
              </>
            )}
          </span>
        </header>
        <RaidBanner raid={room?.raid ?? null} stays={you?.badges.includes('broadcaster') === true} />
        {room?.pinned != null && (
          <Pinned
            key={room.pinned.id}
            message={room.pinned}
            self={you?.name ?? null}
            onUnpin={moderates ? moderation.unpin : undefined}
          />
        )}
        {view.poll !== null && (
          <PollPanel
            key={view.poll.id}
            channel={channel}
            poll={view.poll}
            fresh={view.newPoll}
            signedIn={you !== null}
            moderates={moderates}
            tell={tell}
          />
        )}
        {moderates && <HeldQueue channel={channel} chat={chat} self={you.name} tell={tell} />}
        <MessageList
          chat={chat}
          view={view}
          onReply={setReplyTo}
          onPerson={showPerson}
          onRemove={moderation.remove}
          moderation={moderates ? moderation : undefined}
        />
        <ChatState chat={chat} view={view} />
        {outcome !== null && (
          <p className={styles.outcome} role={outcome.failed ? 'alert' : 'status'} data-failed={outcome.failed}>
            {outcome.sentence}
            <button type="button" className={styles.dismiss} onClick={() => tell(null)}>
              {t('common.close')}
            </button>
          </p>
        )}
        {room !== null && room.rules !== '' && you?.may_send === true && <Rules channel={channel} rules={room.rules} />}
        {room !== null && <RoomModes room={room} />}
        <Composer
          channel={channel}
          chat={chat}
          view={view}
          replyTo={replyTo}
          onReplied={replied}
          focus={focus}
          mention={mention}
        />
        <PersonCard
          shown={card}
          entries={view.entries}
          self={you?.name ?? null}
          onClose={closeCard}
          onMention={
            you?.may_send ? (name) => setMention((before) => ({ name, wish: (before?.wish ?? 0) + 1 })) : undefined
          }
          moderation={moderates ? moderation : undefined}
          onSearch={moderates ? (author) => setManaging({ author }) : undefined}
        />
        <BanDialog
          channel={channel}
          author={banning}
          onClose={endBan}
          onBanned={({ display_name }) => tell({ sentence: t('chat.mod.done.ban', { name: display_name }), failed: false })}
        />
        {settings.announceChat && <Announcer chat={chat} self={you?.name ?? null} />}
      </section>
    </EmotesContext>
  );
}

/** Opens a small window; `false` if the browser does not want to, which then follows the link. */
function popOut(url: string, name: string): boolean {
  return window.open(url, name, 'popup,width=400,height=760') !== null;
}
