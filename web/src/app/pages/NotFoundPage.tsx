import { Compass } from 'lucide-react';
import { Link } from 'react-router';
import { Notice } from '@/components/Notice';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import styles from './NotFoundPage.module.css';

/** The answer to an address that means nothing, or to a name that no channel can have. */
export function NotFoundPage({ channel = false }: { readonly channel?: boolean }) {
  useTitle(t('notfound.title'));
  return (
    <Notice
      level="h1"
      icon={<Compass size={40} aria-hidden="true" />}
      title={t('notfound.title')}
      body={channel ? t('notfound.channel') : t('notfound.body')}
    >
      <Link to="/" className={styles.action}>
        {t('notfound.action')}
      </Link>
    </Notice>
  );
}
