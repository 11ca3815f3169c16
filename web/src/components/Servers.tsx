import { useQuery } from '@tanstack/react-query';
import { site } from '@/api/site';
import { t } from '@/text/t';
import { Button } from './Button';
import { CopyField } from './CopyField';

/** Where encoders publish to, as the server says it: its ports are not for the page to guess. */
export function Servers({ label }: { readonly label: string }) {
  const { data, isError, refetch } = useQuery(site());
  if (data === undefined) {
    return isError ? (
      <p role="alert">
        {t('list.error')}{' '}
        <Button look="quiet" onClick={() => void refetch()}>
          {t('common.retry')}
        </Button>
      </p>
    ) : (
      <p role="status">{t('gate.loading')}</p>
    );
  }
  return data.servers.map((server) => (
    <CopyField
      key={server}
      label={data.servers.length > 1 && server.startsWith('rtmps:') ? t('servers.safe', { label }) : label}
      value={server}
    />
  ));
}
