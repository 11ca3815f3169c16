import { BadgeCheck, Bot, Gem, Radio, Shield, Star, type LucideIcon } from 'lucide-react';
import { t } from '@/text/t';
import styles from './Badges.module.css';

const BADGES: Readonly<Record<string, { readonly icon: LucideIcon; readonly name: string }>> = {
  broadcaster: { icon: Radio, name: t('chat.badge.broadcaster') },
  moderator: { icon: Shield, name: t('chat.badge.moderator') },
  subscriber: { icon: Star, name: t('chat.badge.subscriber') },
  vip: { icon: Gem, name: t('chat.badge.vip') },
  admin: { icon: BadgeCheck, name: t('chat.badge.admin') },
  bot: { icon: Bot, name: t('chat.badge.bot') },
};

/** What somebody is here, as small signs with names. Badges that this page does not know are passed over. */
export function Badges({ badges }: { readonly badges: readonly string[] }) {
  return badges.map((badge) => {
    const known = BADGES[badge];
    if (known === undefined) return null;
    const { icon: Icon, name } = known;
    return (
      <span key={badge} className={styles.badge} data-badge={badge} title={name} role="img" aria-label={name}>
        <Icon size={12} strokeWidth={2.4} aria-hidden="true" />
      </span>
    );
  });
}
