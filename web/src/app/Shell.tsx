import { Dialog } from '@base-ui/react/dialog';
import { Radio, X } from 'lucide-react';
import { Suspense, type ReactNode } from 'react';
import { Link, Outlet } from 'react-router';
import { Logo } from '@/components/Logo';
import { GoLiveGuide } from '@/features/browse/components/GoLiveGuide';
import { t } from '@/text/t';
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
        <Link to="/" aria-label={t('app.home')} className={styles.home}>
          <Logo />
        </Link>
        <div className={styles.corner}>
          <Dialog.Root>
            <Dialog.Trigger className={styles.goLive} data-testid="go-live">
              <Radio size={18} aria-hidden="true" />
              {t('app.goLive')}
            </Dialog.Trigger>
            <Dialog.Portal>
              <Dialog.Backdrop className={styles.backdrop} />
              <Dialog.Popup className={styles.dialog} aria-label={t('golive.title')}>
                <Dialog.Close className={styles.close} aria-label={t('common.close')}>
                  <X size={20} aria-hidden="true" />
                </Dialog.Close>
                <GoLiveGuide />
              </Dialog.Popup>
            </Dialog.Portal>
          </Dialog.Root>
          <PersonMenu />
        </div>
      </header>
      <main id="main" className={styles.main} tabIndex={-1}>
        <Suspense>{children ?? <Outlet />}</Suspense>
      </main>
    </div>
  );
}
