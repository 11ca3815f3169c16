import { useQuery } from '@tanstack/react-query';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import { audit } from '../api/admin';

/** What admins did, newest first. */
export function AuditLog() {
  const list = useQuery(audit());
  return (
    <Panel title={t('admin.audit.title')}>
      <ListState query={list} empty={t('admin.audit.none')}>
        {(entries) => (
          <ol className={rows.rows} data-testid="audit">
            {entries.map(({ at, by, action, target, detail }) => (
              <li key={`${at}${action}${target}`} className={rows.row}>
                <div className={rows.about}>
                  <strong>
                    {action} · {target}
                  </strong>
                  <span>{[detail, !by && t('admin.audit.console')].filter(Boolean).join(' · ')}</span>
                </div>
                <span className={rows.side}>{dateTime(at)}</span>
              </li>
            ))}
          </ol>
        )}
      </ListState>
    </Panel>
  );
}
