import { useMemo } from 'react';
import { t } from '@/text/t';
import { useRoomEmotes } from '../hooks/useEmotes';
import { piecesOf } from '../model/pieces';
import styles from './MessageText.module.css';

interface Props {
  readonly text: string;
  readonly mentions: readonly string[];
  /** The login name of who reads, to whom mentions of them matter most. */
  readonly self: string | null;
}

/** What was said: text, addresses that lead where they seem to, people, and emotes of the room. */
export function MessageText({ text, mentions, self }: Props) {
  const emotes = useRoomEmotes();
  const pieces = useMemo(() => piecesOf(text, mentions, emotes), [text, mentions, emotes]);
  return (
    <bdi className={styles.text}>
      {pieces.map((piece, index) => {
        switch (piece.kind) {
          case 'text':
            return piece.text;
          case 'mention':
            return (
              <span key={index} className={styles.mention} data-you={piece.name === self}>
                {piece.text}
              </span>
            );
          case 'emote':
            return <img key={index} className={styles.emote} src={piece.url} alt={piece.text} title={piece.text} draggable={false} />;
          case 'link':
            return (
              <a
                key={index}
                className={styles.link}
                href={piece.href}
                target="_blank"
                rel="noopener nofollow ugc"
                title={piece.href}
              >
                {piece.text}
                {piece.host !== null && <em className={styles.host}> ({t('chat.link.leads', { host: piece.host })})</em>}
              </a>
            );
        }
      })}
    </bdi>
  );
}
