import type { ReactNode } from 'react';
import { Button } from '@/components/Button';
import { t } from '@/text/t';
import styles from './Manage.module.css';

interface Props<T> {
  readonly query: { readonly data: T | undefined; readonly isError: boolean; readonly refetch: () => unknown };
  readonly children: (data: T) => ReactNode;
}

/** Something of the server: on its way, failed, there. */
export function Loaded<T>({ query, children }: Props<T>) {
  if (query.data !== undefined) return children(query.data);
  if (!query.isError) {
    return (
      <p className={styles.hint} role="status">
        {t('gate.loading')}
      </p>
    );
  }
  return (
    <p className={styles.error} role="alert">
      {t('list.error')}{' '}
      <Button look="quiet" onClick={() => void query.refetch()}>
        {t('common.retry')}
      </Button>
    </p>
  );
}
