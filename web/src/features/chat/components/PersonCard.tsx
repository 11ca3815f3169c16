import { Popover } from '@base-ui/react/popover';
import { useQuery } from '@tanstack/react-query';
import { AtSign, Ban, ExternalLink, Search, Undo2 } from 'lucide-react';
import { profileOf } from '@/api/channels';
import { Avatar } from '@/components/Avatar';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import type { Entry } from '../engine/chat-log';
import type { Author } from '../engine/protocol';
import type { Moderation } from '../hooks/useModeration';
import { colourOf } from '../model/colour';
import { TIMEOUTS } from '../model/timeouts';
import { Badges } from './Badges';
import styles from './PersonCard.module.css';

interface Props {
  /** Whose card is open, and at what; `null` for nobody's. */
  readonly shown: { readonly author: Author; readonly anchor: HTMLElement } | null;
  readonly entries: readonly Entry[];
  readonly self: string | null;
  readonly onClose: () => void;
  /** Absent for who may not write. */
  readonly onMention?: ((name: string) => void) | undefined;
  readonly moderation?: Moderation | undefined;
  /** Looks for everything that somebody said; absent for who does not moderate. */
  readonly onSearch?: ((name: string) => void) | undefined;
}

/** Who somebody is, and what a moderator can do about it. */
export function PersonCard({ shown, ...rest }: Props) {
  return (
    <Popover.Root open={shown !== null} onOpenChange={(open) => !open && rest.onClose()}>
      <Popover.Portal>
        <Popover.Positioner
          anchor={shown?.anchor ?? null}
          side="left"
          align="start"
          sideOffset={12}
          collisionPadding={12}
          className={styles.positioner}
        >
          <Popover.Popup className={styles.card} data-testid="person-card">
            {shown !== null && <Card author={shown.author} {...rest} />}
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

const RECENT = 4;

function Card({ author, entries, self, onClose, onMention, moderation, onSearch }: Omit<Props, 'shown'> & { readonly author: Author }) {
  const { data: profile } = useQuery(profileOf(author.name));
  const theirs = entries.filter(({ message }) => message.author?.id === author.id);
  const [first] = theirs;
  const said = theirs.filter(({ removed }) => !removed).slice(-RECENT);
  const oneself = author.name === self;
  const then = (deed: () => void) => () => {
    deed();
    onClose();
  };
  return (
    <>
      <header className={styles.header}>
        <Avatar name={author.name} picture={profile?.avatar_url} />
        <div className={styles.who}>
          <Popover.Title className={styles.name} style={{ color: colourOf(author.id) }}>
            {author.display_name}
          </Popover.Title>
          <p className={styles.login}>
            <Badges badges={author.badges} />@{author.name}
          </p>
        </div>
      </header>
      {profile?.bio && <p className={styles.bio}>{profile.bio}</p>}
      {first !== undefined && (
        <p className={styles.since}>{t('chat.card.first', { time: dateTime(first.message.at) })}</p>
      )}
      {said.length > 0 && (
        <section aria-label={t('chat.card.recent')}>
          <h3 className={styles.title}>{t('chat.card.recent')}</h3>
          <ul className={styles.recent}>
            {said.map(({ message }) => (
              <li key={message.id}>
                <bdi>{message.text}</bdi>
              </li>
            ))}
          </ul>
        </section>
      )}
      <div className={styles.actions}>
        <a href={`/@${author.name}`} target="_blank" rel="noopener" className={styles.action}>
          <ExternalLink size={15} aria-hidden="true" />
          {t('chat.card.page', { name: author.display_name })}
        </a>
        {onMention !== undefined && !oneself && (
          <button type="button" className={styles.action} onClick={then(() => onMention(author.name))}>
            <AtSign size={15} aria-hidden="true" />
            {t('chat.card.mention')}
          </button>
        )}
        {onSearch !== undefined && (
          <button type="button" className={styles.action} onClick={then(() => onSearch(author.name))}>
            <Search size={15} aria-hidden="true" />
            {t('chat.card.search')}
          </button>
        )}
      </div>
      {moderation !== undefined && !oneself && (
        <div className={styles.moderation} role="group" aria-label={t('chat.moderate', { name: author.display_name })}>
          <h3 className={styles.title}>{t('chat.mod.timeout')}</h3>
          <div className={styles.timeouts}>
            {TIMEOUTS.map(({ seconds, name }) => (
              <button
                key={seconds}
                type="button"
                className={styles.timeout}
                aria-label={t('chat.mod.timeout.for', { time: name })}
                onClick={then(() => moderation.timeOut(author, seconds))}
              >
                {name}
              </button>
            ))}
          </div>
          <button type="button" className={styles.action} onClick={then(() => moderation.lift(author))}>
            <Undo2 size={15} aria-hidden="true" />
            {t('chat.mod.lift')}
          </button>
          <button type="button" className={styles.action} data-danger onClick={then(() => moderation.askBan(author))}>
            <Ban size={15} aria-hidden="true" />
            {t('chat.mod.ban')}
          </button>
        </div>
      )}
    </>
  );
}
