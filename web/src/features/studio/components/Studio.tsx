import { useQuery } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { Me } from '@/api/me';
import type { Stream } from '@/api/streams';
import { Button } from '@/components/Button';
import { Notice } from '@/components/Notice';
import { t } from '@/text/t';
import { myChannels } from '../api/studio';
import { Blocked } from './Blocked';
import { ChannelDetails } from './ChannelDetails';
import { ChatBans } from './ChatBans';
import { Connect } from './Connect';
import { CreateChannel } from './CreateChannel';
import { DeleteChannel } from './DeleteChannel';
import { History } from './History';
import { LadderPanel } from './LadderPanel';
import { OnAir } from './OnAir';
import { Followers, Moderators } from './People';
import { RaidPanel } from './RaidPanel';
import { Schedule } from './Schedule';
import styles from './Studio.module.css';
import { Webhooks } from './Webhooks';

interface Props {
  readonly person: Me;
  /** A player of a broadcast. */
  readonly preview: (stream: Stream) => ReactNode;
}

/** The stream manager: everything about the channels of a person. The chosen one is in the address. */
export function Studio({ person, preview }: Props) {
  const { data: channels, isError, refetch } = useQuery(myChannels());
  const [search, setSearch] = useSearchParams();
  const wanted = search.get('channel');
  const making = search.has('new');

  if (person.role === 'viewer' && channels?.length === 0) {
    return <Notice level="h1" title={t('studio.viewer.title')} body={t('studio.viewer.body')} />;
  }
  if (channels === undefined) {
    return isError ? (
      <Notice level="h1" title={t('studio.error.title')} body={t('gate.error.body')}>
        <Button onClick={() => void refetch()}>{t('common.retry')}</Button>
      </Notice>
    ) : (
      <p role="status">{t('studio.loading')}</p>
    );
  }
  const channel = channels.find(({ name }) => name === wanted) ?? channels[0];
  const choose = (name: string) => setSearch({ channel: name });

  if (channel === undefined || making) {
    const suggestion = channels.some(({ name }) => name === person.name) ? '' : person.name;
    return (
      <div className={styles.narrow}>
        <h1 className={styles.heading}>{t('studio.title')}</h1>
        <CreateChannel suggestion={suggestion} onCreated={choose} />
      </div>
    );
  }
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1 className={styles.heading}>{t('studio.title')}</h1>
        {channels.length > 1 && (
          <label className={styles.choice}>
            <span className="visually-hidden">{t('studio.channel')}</span>
            <select value={channel.name} onChange={(event) => choose(event.target.value)}>
              {channels.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
        <Link to={`/@${channel.name}`} className={styles.link}>
          {t('studio.open')}: {channel.name}
        </Link>
        <Link to="/dashboard?new" className={styles.another}>
          <Plus size={17} aria-hidden="true" />
          {t('studio.another')}
        </Link>
      </header>
      {/* Forms start afresh with another channel. */}
      <div className={styles.columns} key={channel.id}>
        <div className={styles.column}>
          <OnAir channel={channel.name} preview={preview} />
          <ChannelDetails channel={channel} />
          <LadderPanel channel={channel} />
          <RaidPanel channel={channel.name} />
          <Schedule channel={channel.name} />
        </div>
        <div className={styles.column}>
          <Connect channel={channel.name} />
          <History channel={channel.name} />
          <Followers channel={channel.name} />
          <Moderators channel={channel.name} />
          <Blocked channel={channel.name} />
          <ChatBans />
          <Webhooks channel={channel.name} />
          <DeleteChannel channel={channel.name} onDeleted={() => setSearch({})} />
        </div>
      </div>
    </div>
  );
}
