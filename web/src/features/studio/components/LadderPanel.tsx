import { useQueryClient } from '@tanstack/react-query';
import type { Channel } from '@/api/channels';
import { LadderForm } from '@/components/LadderForm';
import { Panel } from '@/components/Panel';
import { t } from '@/text/t';

/** The rungs of one's channel; nothing where there is nothing to choose. */
export function LadderPanel({ channel: { name, ladder } }: { readonly channel: Channel }) {
  const queries = useQueryClient();
  // A server that is older than the page says nothing of it.
  if (!ladder || ladder.choices.every((choice) => choice.rungs.length === 0)) return null;
  return (
    <Panel title={t('ladder.title')} hint={t('ladder.hint')}>
      <LadderForm
        name={name}
        ladder={ladder}
        onSaved={() => queries.invalidateQueries({ queryKey: ['me', 'channels'] })}
      />
    </Panel>
  );
}
