import { Suspense, type ReactNode } from 'react';
import { Link, Outlet } from 'react-router';
import { useSiteName } from '@/api/site';
import { Logo } from '@/components/Logo';
import { SearchBox } from '@/features/search/components/SearchBox';
import { t } from '@/text/t';
import { Footer } from './Footer';
import { GoLive } from './GoLive';
import { PersonMenu } from './PersonMenu';
import styles from './Shell.module.css';

/** The frame of every page but the embedded player. */
export function Shell({ children }: { readonly children?: ReactNode }) {
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip}>
        {t('app.skip')}
      </a>
      <header className={styles.header}>
        <Link to="/" aria-label={t('app.home', { name: useSiteName() })} className={styles.home}>
          <Logo />
        </Link>
        <SearchBox />
        <div className={styles.corner}>
          <GoLive />
          <PersonMenu />
        </div>
      </header>
      <main id="main" className={styles.main} tabIndex={-1}>
        <Suspense>{children ?? <Outlet />}</Suspense>
      </main>
      <Footer />
    </div>
  );
}
