import { Component, type ReactNode } from 'react';
import { Button } from '@/components/Button';
import { Notice } from '@/components/Notice';
import { t } from '@/text/t';
import styles from './ErrorBoundary.module.css';

interface Props {
  readonly children: ReactNode;
}

/** The last net: a page that fails to draw says so and offers a way on. */
export class ErrorBoundary extends Component<Props, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main className={styles.page}>
        <Notice level="h1" title={t('app.crashed.title')} body={t('app.crashed.body')}>
          <Button onClick={() => window.location.reload()}>{t('app.crashed.action')}</Button>
        </Notice>
      </main>
    );
  }
}
