import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Bell, BellOff } from 'lucide-react';
import { mute, type Channel } from '@/api/channels';
import { t } from '@/text/t';
import styles from './FollowButton.module.css';

/** Whether a channel that one follows says when it goes live. */
export function MuteButton({ channel }: { readonly channel: Channel }) {
  const { name, muted = false } = channel;
  const queries = useQueryClient();
  const queryKey = ['channels', name];
  const { mutate, isPending } = useMutation({
    mutationFn: (next: boolean) => mute(name, next),
    onSuccess: (_nothing, next) => {
      queries.setQueryData(queryKey, { ...channel, muted: next });
      return queries.invalidateQueries({ queryKey: ['me', 'notices'] });
    },
    onError: () => queries.invalidateQueries({ queryKey, exact: true }),
  });
  const silent = muted === true;
  const label = t(silent ? 'notices.muted' : 'notices.unmuted', { channel: name });
  return (
    <button
      type="button"
      className={styles.mute}
      disabled={isPending}
      aria-label={t('notices.mute', { channel: name })}
      aria-pressed={!silent}
      title={label}
      data-testid="mute"
      onClick={() => mutate(!silent)}
    >
      {silent ? <BellOff size={19} aria-hidden="true" /> : <Bell size={19} aria-hidden="true" />}
    </button>
  );
}
