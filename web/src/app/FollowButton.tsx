import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Heart } from 'lucide-react';
import { Link } from 'react-router';
import { follow, unfollow, type Channel } from '@/api/channels';
import { me } from '@/api/me';
import { Button } from '@/components/Button';
import { failureOf } from '@/components/Form';
import { t } from '@/text/t';
import { MuteButton } from './MuteButton';
import styles from './FollowButton.module.css';

/** Follows a channel or leaves it; who is not signed in is led to the door and back. */
export function FollowButton({ channel }: { readonly channel: Channel }) {
  const { name, following = false } = channel;
  const { data: person } = useQuery(me());
  const queries = useQueryClient();
  const queryKey = ['channels', name];
  const { mutate, isPending, error } = useMutation({
    mutationFn: (next: boolean) => (next ? follow(name) : unfollow(name)),
    onSuccess: (_nothing, next) => {
      // Shown at once; the true count comes with the next answer.
      const changed: Channel = { ...channel, following: next, followers: channel.followers + (next ? 1 : -1) };
      queries.setQueryData(queryKey, changed);
      // Whoever follows may watch more.
      void queries.invalidateQueries({ queryKey: ['streams', name] });
      return queries.invalidateQueries({ queryKey, exact: true });
    },
  });

  if (person === undefined) return null;
  if (person?.name === channel.owner.name) {
    return (
      <Link to={`/dashboard?channel=${name}`} className={styles.manage}>
        {t('channel.manage')}
      </Link>
    );
  }
  if (person === null) {
    return (
      <Link to={`/login?next=/@${name}`} className={styles.link} aria-label={t('channel.follow.label', { channel: name })}>
        <Heart size={17} aria-hidden="true" />
        {t('channel.follow')}
      </Link>
    );
  }
  const follows = following === true;
  return (
    <>
      <Button
        look={follows ? 'quiet' : 'brass'}
        disabled={isPending}
        aria-pressed={follows}
        aria-label={t('channel.follow.label', { channel: name })}
        onClick={() => mutate(!follows)}
        data-testid="follow"
      >
        <Heart size={17} aria-hidden="true" fill={follows ? 'currentColor' : 'none'} />
        {follows ? t('channel.following') : t('channel.follow')}
      </Button>
      {follows && <MuteButton channel={channel} />}
      {error !== null && (
        <span role="alert" className={styles.error}>
          {failureOf(error).sentence}
        </span>
      )}
    </>
  );
}
