import { Notice } from '@/components/Notice';
import { AccountOf } from '@/features/admin/components/AccountOf';
import { AuditLog } from '@/features/admin/components/AuditLog';
import { Invitations } from '@/features/admin/components/Invitations';
import { LadderOf } from '@/features/admin/components/LadderOf';
import { Reports } from '@/features/admin/components/Reports';
import { SiteBans } from '@/features/admin/components/SiteBans';
import { SiteEmotes } from '@/features/admin/components/SiteEmotes';
import { SiteHistory } from '@/features/admin/components/SiteHistory';
import { SiteSettings } from '@/features/admin/components/SiteSettings';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { SignedIn } from '../SignedIn';
import styles from './AdminPage.module.css';

/** What only admins of the site do. */
export function AdminPage() {
  useTitle(t('admin.title'));
  return (
    <SignedIn>
      {({ role }) =>
        role === 'admin' ? (
          <div className={styles.page}>
            <h1 className={styles.heading}>{t('admin.title')}</h1>
            <AccountOf />
            <Invitations />
            <Reports />
            <SiteSettings />
            <LadderOf />
            <SiteBans />
            <SiteEmotes />
            <SiteHistory />
            <AuditLog />
          </div>
        ) : (
          <Notice level="h1" title={t('admin.refused.title')} body={t('admin.refused.body')} />
        )
      }
    </SignedIn>
  );
}
