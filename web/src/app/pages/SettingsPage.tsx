import { useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearchParams } from 'react-router';
import { me } from '@/api/me';
import { Identities } from '@/features/account/components/Identities';
import { Password } from '@/features/account/components/Password';
import { EmailAddress, Profile } from '@/features/account/components/Profile';
import { Sessions } from '@/features/account/components/Sessions';
import { Tokens } from '@/features/account/components/Tokens';
import { TwoFactor } from '@/features/account/components/TwoFactor';
import { YourData } from '@/features/account/components/YourData';
import { NoticeSettings } from '@/features/notices/components/NoticeSettings';
import { useTitle } from '@/lib/useTitle';
import { t } from '@/text/t';
import { SignedIn } from '../SignedIn';
import styles from './SettingsPage.module.css';

const SECTIONS = [
  ['profile', 'profile.title'],
  ['email', 'email.title'],
  ['password', 'password.title'],
  ['second-factor', 'totp.title'],
  ['notices', 'notices.title'],
  ['sessions', 'sessions.title'],
  ['tokens', 'tokens.title'],
  ['data', 'data.title'],
] as const;

/** Everything about one's own account. */
export function SettingsPage() {
  useTitle(t('settings.title'));
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [search] = useSearchParams();
  const ended = () => {
    queries.clear();
    queries.setQueryData(me().queryKey, null);
    void navigate('/');
  };
  return (
    <SignedIn>
      {(person) => (
        <div className={styles.page}>
          <header className={styles.side}>
            <h1 className={styles.heading}>{t('settings.title')}</h1>
            <nav aria-label={t('settings.sections')} className={styles.nav}>
              {SECTIONS.map(([id, title]) => (
                <a key={id} href={`#${id}`}>
                  {t(title)}
                </a>
              ))}
            </nav>
          </header>
          <div className={styles.column}>
            <Profile person={person} />
            <EmailAddress person={person} />
            <Password person={person} />
            <Identities problem={search.get('problem')} />
            <TwoFactor person={person} />
            <NoticeSettings />
            <Sessions onEnded={ended} />
            <Tokens person={person} />
            <YourData person={person} onEnded={ended} />
          </div>
        </div>
      )}
    </SignedIn>
  );
}
