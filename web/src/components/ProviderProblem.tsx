import { MESSAGES, type MessageKey } from '@/text/messages';
import { t } from '@/text/t';
import styles from './ProviderProblem.module.css';

/** Why the way over a provider led back without anything done: the name of the problem stands in the address. */
export function ProviderProblem({ problem }: { readonly problem: string | null }) {
  if (problem === null) return null;
  const key = `providers.problem.${problem}`;
  return (
    <p role="alert" className={styles.problem}>
      {isMessage(key) ? t(key) : t('providers.problem.failed')}
    </p>
  );
}

function isMessage(key: string): key is Extract<MessageKey, `providers.problem.${string}`> {
  return Object.hasOwn(MESSAGES, key);
}
