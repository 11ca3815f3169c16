import { useInfiniteQuery } from '@tanstack/react-query';
import { Button } from '@/components/Button';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import { clock, count, dateTime } from '@/lib/format';
import { t } from '@/text/t';
import { broadcasts } from '../api/studio';
import styles from '@/components/Rows.module.css';

/** The broadcasts of a channel, newest first. */
export function History({ channel }: { readonly channel: string }) {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    ...broadcasts(channel),
    refetchInterval: 15_000,
  });
  const list = data?.pages.flatMap((page) => page.items);
  return (
    <Panel title={t('history.title')}>
      <ListState query={{ data: list, isError, refetch }} empty={t('history.none')}>
        {(items) => (
          <ol className={styles.rows} data-testid="history">
            {items.map(({ id, title, category, started_at, ended_at, peak_viewers }) => (
              <li key={id} className={styles.row}>
                <div className={styles.about}>
                  <strong>{title || t('history.untitled')}</strong>
                  <span>{[dateTime(started_at), category].filter(Boolean).join(' · ')}</span>
                </div>
                <span className={styles.side}>
                  {ended_at ? clock((Date.parse(ended_at) - Date.parse(started_at)) / 1_000) : t('history.running')}
                  {(ended_at || peak_viewers > 0) && (
                    <>
                      <br />
                      {t('history.peak', { count: count(peak_viewers) })}
                    </>
                  )}
                </span>
              </li>
            ))}
          </ol>
        )}
      </ListState>
      {hasNextPage && (
        <Button look="quiet" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('history.more')}
        </Button>
      )}
    </Panel>
  );
}
