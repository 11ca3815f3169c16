import type { ReactNode } from 'react';
import { t } from '@/text/t';
import { Button } from './Button';
import styles from './ListState.module.css';

interface Query<T> {
  readonly data: readonly T[] | undefined;
  readonly isError: boolean;
  readonly refetch: () => unknown;
}

interface Props<T> {
  readonly query: Query<T>;
  /** Said when there is nothing. */
  readonly empty: string;
  readonly children: (list: readonly T[]) => ReactNode;
}

/** A list from the server in each of its states: on its way, failed, empty, there. */
export function ListState<T>({ query, empty, children }: Props<T>) {
  if (query.data === undefined) {
    return query.isError ? (
      <p className={styles.state} role="alert">
        {t('list.error')}{' '}
        <Button look="quiet" onClick={() => void query.refetch()}>
          {t('common.retry')}
        </Button>
      </p>
    ) : (
      <p className={styles.state} role="status">
        {t('gate.loading')}
      </p>
    );
  }
  return query.data.length === 0 ? <p className={styles.state}>{empty}</p> : children(query.data);
}
