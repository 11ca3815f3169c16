import { useMemo } from 'react';
import { t } from '@/text/t';
import { piecesOf } from '../model/pieces';
import styles from './MessageText.module.css';

interface Props {
  readonly text: string;
  readonly mentions: readonly string[];
  /** The login name of who reads, to whom mentions of them matter most. */
  readonly self: string | null;
}

/** What was said: text, addresses that lead where they seem to, and people. */
export function MessageText({ text, mentions, self }: Props) {
  const pieces = useMemo(() => piecesOf(text, mentions), [text, mentions]);
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
