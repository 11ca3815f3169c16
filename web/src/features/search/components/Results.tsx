import { useInfiniteQuery } from '@tanstack/react-query';
import { Search } from 'lucide-react';
import { Link } from 'react-router';
import { search } from '@/api/search';
import { Avatar } from '@/components/Avatar';
import { Button } from '@/components/Button';
import { LiveBadge } from '@/components/LiveBadge';
import { LiveStill } from '@/components/LiveStill';
import { Notice } from '@/components/Notice';
import rows from '@/components/Rows.module.css';
import type { Channel } from '@/api/channels';
import { count } from '@/lib/format';
import { languageName } from '@/lib/languages';
import { t } from '@/text/t';
import styles from './Results.module.css';

/** What was found for some words: live channels first. */
export function Results({ q }: { readonly q: string }) {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(search(q));
  const icon = <Search size={40} aria-hidden="true" />;
  if (q === '') return <Notice level="h1" icon={icon} title={t('search.title')} body={t('search.begin')} />;
  if (data === undefined) {
    return isError ? (
      <Notice level="h1" icon={icon} title={t('search.error')} body={t('gate.error.body')}>
        <Button onClick={() => void refetch()}>{t('common.retry')}</Button>
      </Notice>
    ) : (
      <p role="status">{t('search.busy')}</p>
    );
  }
  const found = data.pages.flatMap((page) => page.items);
  if (found.length === 0) {
    return <Notice level="h1" icon={icon} title={t('search.none.title', { q })} body={t('search.none.body')} />;
  }
  return (
    <section className={styles.page} aria-labelledby="found">
      <h1 id="found" className={styles.title}>
        {t('search.found', { q })}
      </h1>
      <ul className={rows.rows} data-testid="found">
        {found.map((channel) => (
          <Found key={channel.id} channel={channel} />
        ))}
      </ul>
      {hasNextPage && (
        <Button look="quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('history.more')}
        </Button>
      )}
    </section>
  );
}

function Found({ channel }: { readonly channel: Channel }) {
  const { name, title, category, language, followers, owner, stream } = channel;
  const facts = [
    title && name,
    category,
    language && languageName(language),
    stream
      ? stream.viewers === 1
        ? t('browse.viewers.one')
        : t('browse.viewers.many', { count: count(stream.viewers) })
      : followers === 1
        ? t('channel.followers.one')
        : t('channel.followers.many', { count: count(followers) }),
  ];
  return (
    <li className={rows.row}>
      <Avatar name={name} picture={owner.avatar_url} live={stream?.state === 'live'} />
      {stream && (
        <span className={rows.still}>
          <LiveStill channel={name} url={stream.thumbnail_url} sizes="112px" />
        </span>
      )}
      <div className={rows.about}>
        <Link to={`/@${name}`} className={styles.link}>
          {title || name}
        </Link>
        <span>{facts.filter(Boolean).join(' · ')}</span>
      </div>
      {stream && <LiveBadge text={t('browse.live')} />}
    </li>
  );
}
