import { Dialog } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { Radio, X } from 'lucide-react';
import { Link, useLocation } from 'react-router';
import { me } from '@/api/me';
import { GoLiveGuide } from '@/features/browse/components/GoLiveGuide';
import { t } from '@/text/t';
import styles from './Shell.module.css';

/** The way to a broadcast: the dashboard for who is signed in, for others how it is done. */
export function GoLive() {
  const { data: person } = useQuery(me());
  const { pathname } = useLocation();
  if (person) {
    return (
      <Link to="/dashboard" className={styles.goLive} data-testid="go-live">
        <Radio size={18} aria-hidden="true" />
        {t('app.goLive')}
      </Link>
    );
  }
  return (
    // A link of the guide leads to another page, which closes it.
    <Dialog.Root key={pathname}>
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
  );
}
