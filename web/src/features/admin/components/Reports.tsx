import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { Button } from '@/components/Button';
import { SelectField, TextArea } from '@/components/Field';
import { Form } from '@/components/Form';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { entered } from '@/lib/entered';
import { ago } from '@/lib/format';
import { t } from '@/text/t';
import { audit, reports, resolveReport, type Report } from '../api/admin';
import styles from './Reports.module.css';

const OUTCOMES = ['dismissed', 'warned', 'removed', 'banned'] as const;

/** What people have reported: what nobody has looked at, or what came of it. */
export function Reports() {
  const [state, setState] = useState<Report['state']>('open');
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(reports(state));
  const list = data?.pages.flatMap((page) => page.items);
  return (
    <Panel
      title={t('reports.title')}
      hint={t('reports.hint')}
      action={
        <Button look="quiet" onClick={() => setState(state === 'open' ? 'resolved' : 'open')}>
          {state === 'open' ? t('reports.showResolved') : t('reports.showOpen')}
        </Button>
      }
    >
      <ListState
        query={{ data: list, isError, refetch }}
        empty={state === 'open' ? t('reports.none') : t('reports.noneResolved')}
      >
        {(all) => (
          <ol className={rows.rows} data-testid="reports">
            {all.map((report) => (
              <Reported key={report.id} report={report} />
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

function Reported({ report }: { readonly report: Report }) {
  const queries = useQueryClient();
  const { id, about, target, reporter, reason, text, at, state, outcome, note, resolved_by } = report;
  return (
    <li className={rows.row}>
      <div className={rows.about}>
        <strong>
          <Link to={`/@${target}`}>{target}</Link> · {t(`report.reason.${reason}`)}
        </strong>
        <span>
          {[
            t(`reports.about.${about}`),
            t('reports.by', { name: reporter?.name ?? t('site.history.gone') }),
            ago(at),
          ].join(' · ')}
        </span>
        {text && <p className={styles.text}>{text}</p>}
        {outcome && (
          <span>
            {[t(`reports.outcome.${outcome}`), resolved_by?.name, note].filter(Boolean).join(' · ')}
          </span>
        )}
      </div>
      {state === 'open' && (
        <details className={styles.resolve}>
          <summary>{t('reports.resolve')}</summary>
          <Form
            submit={t('reports.resolve')}
            label={t('reports.resolve.label', { target })}
            onSubmit={async (data) => {
              const chosen = OUTCOMES.find((one) => one === entered(data, 'outcome')) ?? 'dismissed';
              await resolveReport(id, { outcome: chosen, note: entered(data, 'note') });
              await queries.invalidateQueries({ queryKey: ['admin', 'reports'] });
              await queries.invalidateQueries({ queryKey: audit().queryKey });
            }}
          >
            <SelectField name="outcome" label={t('reports.outcome')} hint={t('reports.outcome.hint')}>
              {OUTCOMES.map((one) => (
                <option key={one} value={one}>
                  {t(`reports.outcome.${one}`)}
                </option>
              ))}
            </SelectField>
            <TextArea name="note" label={t('reports.note')} maxLength={1_000} rows={2} />
          </Form>
        </details>
      )}
    </li>
  );
}
