import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from '@/components/Button';
import { TextField } from '@/components/Field';
import { Form } from '@/components/Form';
import { Panel } from '@/components/Panel';
import { entered } from '@/lib/entered';
import { useCountdown } from '@/lib/useCountdown';
import { t } from '@/text/t';
import { cancelRaid, raidOf, startRaid } from '../api/studio';

/** Sends everybody who watches to another channel. */
export function RaidPanel({ channel }: { readonly channel: string }) {
  const { data: raid = null } = useQuery(raidOf(channel));
  const queries = useQueryClient();
  const { queryKey } = raidOf(channel);
  return (
    <Panel title={t('raid.title')} hint={t('raid.hint')}>
      {raid !== null && (
        <>
          <Soon target={raid.target} at={raid.at} />
          <div>
            <Button
              look="danger"
              onClick={() => {
                void cancelRaid(channel).then(() => queries.invalidateQueries({ queryKey }));
              }}
            >
              {t('raid.cancel')}
            </Button>
          </div>
        </>
      )}
      {raid === null && (
        <Form
          submit={t('raid.start')}
          look="quiet"
          clears
          onSubmit={async (data) => {
            const target = entered(data, 'target').trim().replace(/^@/, '').toLowerCase();
            queries.setQueryData(queryKey, await startRaid(channel, target));
          }}
        >
          <TextField
            name="target"
            label={t('raid.target')}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={26}
            required
          />
        </Form>
      )}
    </Panel>
  );
}

function Soon({ target, at }: { readonly target: string; readonly at: string }) {
  const seconds = useCountdown(Date.parse(at));
  return <p role="timer">{t('raid.soon', { target, seconds })}</p>;
}
