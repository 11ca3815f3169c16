import { Menu } from '@base-ui/react/menu';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Heart, LayoutDashboard, LogOut, Settings, Shield, UserRound } from 'lucide-react';
import { Link, useNavigate } from 'react-router';
import { me } from '@/api/me';
import { site } from '@/api/site';
import { Avatar } from '@/components/Avatar';
import { signOut } from '@/features/auth/api/auth';
import { Bell } from '@/features/notices/components/Bell';
import { unsubscribe } from '@/features/notices/model/subscription';
import { t } from '@/text/t';
import styles from './PersonMenu.module.css';

/** The corner of the header: the way in, or what belongs to who is signed in. */
export function PersonMenu() {
  const { data: person, isPending } = useQuery(me());
  const { data: about } = useQuery(site());
  const queries = useQueryClient();
  const navigate = useNavigate();

  if (isPending) return <span className={styles.pending} />;
  if (person === null || person === undefined) {
    return (
      <nav className={styles.ways} aria-label={t('menu.account')}>
        <Link to="/login" className={styles.signIn}>
          {t('menu.signIn')}
        </Link>
        {about?.registration !== 'closed' && (
          <Link to="/register" className={styles.register}>
            {t('menu.register')}
          </Link>
        )}
      </nav>
    );
  }

  const leave = async () => {
    // Even when the server does not answer, this page forgets the person.
    await unsubscribe().catch(() => undefined);
    await signOut().catch(() => undefined);
    queries.clear();
    queries.setQueryData(me().queryKey, null);
    void navigate('/');
  };

  return (
    <>
      <Bell />
      <Menu.Root>
        <Menu.Trigger className={styles.trigger} aria-label={t('menu.of', { name: person.display_name })}>
          <Avatar name={person.name} picture={person.avatar_url} />
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner sideOffset={8} align="end" className={styles.positioner}>
            <Menu.Popup className={styles.popup}>
              <div className={styles.who}>
                <strong>{person.display_name}</strong>
                <span>{person.name}</span>
              </div>
              <Menu.Item className={styles.item} render={<Link to="/dashboard" />}>
                <LayoutDashboard size={18} aria-hidden="true" />
                {t('menu.dashboard')}
              </Menu.Item>
              <Menu.Item className={styles.item} render={<Link to="/following" />}>
                <Heart size={18} aria-hidden="true" />
                {t('following.title')}
              </Menu.Item>
              <Menu.Item className={styles.item} render={<Link to={`/@${person.name}`} />}>
                <UserRound size={18} aria-hidden="true" />
                {t('menu.profile')}
              </Menu.Item>
              <Menu.Item className={styles.item} render={<Link to="/settings" />}>
                <Settings size={18} aria-hidden="true" />
                {t('menu.settings')}
              </Menu.Item>
              {person.role === 'admin' && (
                <Menu.Item className={styles.item} render={<Link to="/admin" />}>
                  <Shield size={18} aria-hidden="true" />
                  {t('menu.admin')}
                </Menu.Item>
              )}
              <Menu.Item className={styles.item} onClick={() => void leave()}>
                <LogOut size={18} aria-hidden="true" />
                {t('menu.signOut')}
              </Menu.Item>
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
    </>
  );
}
