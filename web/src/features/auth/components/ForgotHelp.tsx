import { Link } from 'react-router';
import { t } from '@/text/t';
import { AuthCard } from './AuthCard';

/** The way back in: this server sends no mail, so an admin makes the link. */
export function ForgotHelp() {
  return (
    <AuthCard
      title={t('forgot.title')}
      body={t('forgot.body')}
      footer={<Link to="/login">{t('login.title')}</Link>}
    />
  );
}
