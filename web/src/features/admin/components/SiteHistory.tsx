import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { site } from '@/api/site';
import { Button } from '@/components/Button';
import { Confirm } from '@/components/Confirm';
import { ListState } from '@/components/ListState';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { dateTime } from '@/lib/format';
import { t } from '@/text/t';
import { audit, siteHistory, siteSettings, undoSite, type SiteChange } from '../api/admin';
import styles from './SiteHistory.module.css';

/** Every change of the settings: who, when, from what to what; each can be undone. */
export function SiteHistory() {
  const { data, isError, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(siteHistory());
  const list = data?.pages.flatMap((page) => page.items);
  return (
    <Panel title={t('site.history.title')}>
      <ListState query={{ data: list, isError, refetch }} empty={t('site.history.none')}>
        {(changes) => (
          <ol className={rows.rows} data-testid="site-history">
            {changes.map((change) => (
              <Change key={change.number} change={change} />
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

function Change({ change }: { readonly change: SiteChange }) {
  const queries = useQueryClient();
  const { number, at, by, changed } = change;
  return (
    <li className={rows.row}>
      <details className={styles.change}>
        <summary>
          <strong>{changed.map(nameOf).join(', ')}</strong>
          <span>{[by?.display_name ?? t('site.history.gone'), dateTime(at)].join(' · ')}</span>
        </summary>
        <dl className={styles.differences}>
          {changed.map((field) => (
            <div key={field}>
              <dt>{nameOf(field)}</dt>
              <dd>
                <del>{textOf(change.before, field)}</del>
                <ins>{textOf(change.after, field)}</ins>
              </dd>
            </div>
          ))}
        </dl>
      </details>
      <Confirm
        trigger={t('site.history.undo')}
        triggerLabel={t('site.history.undo.label', { when: dateTime(at) })}
        title={t('site.history.undo.title')}
        body={t('site.history.undo.body')}
        confirm={t('site.history.undo')}
        onConfirm={async () => {
          queries.setQueryData(siteSettings().queryKey, await undoSite(number));
          for (const { queryKey } of [site(), siteHistory(), audit()]) await queries.invalidateQueries({ queryKey });
        }}
      />
    </li>
  );
}

const NAMES = {
  name: 'site.name',
  description: 'site.description',
  registration: 'site.registration',
  streaming: 'site.streaming',
  language: 'site.language',
  categories: 'site.categories',
  rules: 'site.rules',
  rules_url: 'site.rulesUrl',
  contact: 'site.contact',
} as const;

type Field = keyof typeof NAMES;

const isField = (text: string): text is Field => text in NAMES;
const nameOf = (field: string) => (isField(field) ? t(NAMES[field]) : field);

/** A setting in words. */
function textOf(values: SiteChange['before'], field: string): string {
  const value = isField(field) ? values[field] : undefined;
  const text = Array.isArray(value) ? value.join(', ') : value;
  return text === undefined || text === null ? t('site.history.configured') : text || t('site.history.empty');
}
