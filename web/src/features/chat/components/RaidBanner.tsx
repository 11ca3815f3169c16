import { Radio } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { Button } from '@/components/Button';
import { t } from '@/text/t';
import type { Raid } from '../engine/protocol';
import { useCountdown } from '@/lib/useCountdown';
import styles from './RaidBanner.module.css';

/** Everybody goes within this time, so that not all of them come at the same moment. */
const SPREAD_MS = 2_000;

interface Props {
  readonly raid: Raid | null;
  /** Whether the person need not go: it is their channel. */
  readonly stays: boolean;
}

/** Says that the broadcaster sends everybody to another channel, and takes the viewer along unless they stay. */
export function RaidBanner({ raid, stays }: Props) {
  const navigate = useNavigate();
  const { pathname } = useLocation();
  /** The raid that this page saw coming: who comes after it has gone is not taken along. */
  const [seen, setSeen] = useState<string | null>(null);
  const [staying, setStaying] = useState<string | null>(null);
  if (raid !== null && !raid.gone && seen !== raid.id) setSeen(raid.id);
  const goes = raid !== null && raid.gone && raid.id === seen && raid.id !== staying && !stays;
  const target = raid?.target;
  const alone = pathname.endsWith('/chat');
  useEffect(() => {
    if (!goes || target === undefined) return;
    const timer = setTimeout(
      () => void navigate(alone ? `/@${target}/chat` : `/@${target}`),
      Math.random() * SPREAD_MS,
    );
    return () => clearTimeout(timer);
  }, [goes, target, alone, navigate]);
  if (raid === null || (raid.gone && !goes)) return null;
  return (
    <aside className={styles.raid} role="status" aria-label={t('chat.raid')} data-testid="raid">
      <Radio size={18} aria-hidden="true" />
      <p className={styles.text}>
        {raid.gone ? t('chat.raid.now', { target: raid.target }) : <Coming raid={raid} />}
      </p>
      {!stays && raid.id !== staying && (
        <Button look="quiet" onClick={() => setStaying(raid.id)}>
          {t('chat.raid.stay')}
        </Button>
      )}
      {raid.id === staying && <span className={styles.staying}>{t('chat.raid.staying')}</span>}
    </aside>
  );
}

function Coming({ raid: { target, at } }: { readonly raid: Raid }) {
  const left = useCountdown(Date.parse(at));
  return (
    <>
      {t('chat.raid.coming', { target })}{' '}
      <span className={styles.left} aria-hidden="true">
        {t('chat.raid.in', { seconds: left })}
      </span>
    </>
  );
}
