import { useInfiniteQuery } from '@tanstack/react-query';
import { Button } from '@/components/Button';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import { audit } from '../api/admin';

/** What admins did, newest first; older entries on demand. */
export function AuditLog() {
  const list = useInfiniteQuery(audit());
  const entries = list.data?.pages.flatMap(({ items }) => items);
  return (
    <Panel title={t('admin.audit.title')}>
      <ListState query={{ data: entries, isError: list.isError, refetch: list.refetch }} empty={t('admin.audit.none')}>
        {(all) => (
          <>
            <ol className={rows.rows} data-testid="audit">
              {all.map(({ at, by, by_name, action, target, detail }) => (
                <li key={`${at}${action}${target}`} className={rows.row}>
                  <div className={rows.about}>
                    <strong>
                      {action} · {target}
                    </strong>
                    <span>
                      {[detail, by ? by_name && t('admin.audit.by', { name: by_name }) : t('admin.audit.console')]
                        .filter(Boolean)
                        .join(' · ')}
                    </span>
                  </div>
                  <span className={rows.side}>{dateTime(at)}</span>
                </li>
              ))}
            </ol>
            {list.hasNextPage && (
              <div>
                <Button look="quiet" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                  {t('admin.audit.older')}
                </Button>
              </div>
            )}
          </>
        )}
      </ListState>
    </Panel>
  );
}
