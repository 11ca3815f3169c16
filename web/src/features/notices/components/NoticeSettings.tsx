import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Button } from '@/components/Button';
import { failureOf } from '@/components/Form';
import { Panel } from '@/components/Panel';
import rows from '@/components/Rows.module.css';
import { date } from '@/lib/format';
import { t } from '@/text/t';
import { addDevice, enabled, push, removeDevice, turn, type PushDevice } from '../api/notices';
import { current, permission, subscribe, supported, unsubscribe } from '../model/subscription';
import styles from './NoticeSettings.module.css';

/** Whether one wants notices, and which browsers show them while no page is open. */
export function NoticeSettings() {
  const queries = useQueryClient();
  const { data: on } = useQuery(enabled());
  const [wrong, setWrong] = useState('');
  const set = async (next: boolean) => {
    try {
      await turn(next);
      setWrong('');
    } catch (error) {
      setWrong(failureOf(error).sentence);
    }
    await queries.invalidateQueries({ queryKey: ['me', 'notices'] });
  };
  return (
    <Panel id="notices" title={t('notices.title')} hint={t('notices.hint')}>
      {on !== undefined && (
        <div className={styles.choice}>
          <p>{t(on ? 'notices.enabled.is.on' : 'notices.enabled.is.off')}</p>
          <Button look={on ? 'quiet' : 'brass'} onClick={() => void set(!on)}>
            {t(on ? 'notices.enabled.off' : 'notices.enabled.on')}
          </Button>
        </div>
      )}
      <p role="alert" className={styles.wrong}>
        {wrong}
      </p>
      {on === true && <Push />}
    </Panel>
  );
}

/** The browsers that show notices while no page is open; this one can be turned on and off. */
function Push() {
  const queries = useQueryClient();
  const { data } = useQuery(push());
  const [subscribed, setSubscribed] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    void current().then((subscription) => setSubscribed(subscription !== null));
  }, [data]);

  if (data === undefined) return null;
  const { public_key: key, devices } = data;
  const here = subscribed && devices.some((device) => device.current);

  /** Does it, says what went wrong, and asks the server what is true now. */
  const attempt = async (deed: () => Promise<string | undefined>) => {
    setBusy(true);
    try {
      setWrong((await deed()) ?? '');
    } catch (error) {
      setWrong(failureOf(error).sentence);
    }
    await queries.invalidateQueries({ queryKey: push().queryKey });
    setBusy(false);
  };
  const turnOn = (publicKey: string) =>
    attempt(async () => {
      let made;
      try {
        made = await subscribe(publicKey);
      } catch {
        return t('push.failed');
      }
      if (made === null) return t('push.denied');
      await addDevice(made);
      return undefined;
    });
  const remove = ({ id, current: isHere }: PushDevice) =>
    attempt(async () => {
      if (isHere) await unsubscribe();
      await removeDevice(id);
      return undefined;
    });
  const turnOff = () =>
    attempt(async () => {
      await unsubscribe();
      for (const device of devices.filter((one) => one.current)) await removeDevice(device.id);
      return undefined;
    });

  return (
    <>
      <div className={styles.choice}>
        <div>
          <h3 className={styles.heading}>{t('push.title')}</h3>
          <p className={styles.hint}>{t(state(key, here))}</p>
        </div>
        {key != null && supported() && permission() !== 'denied' && (
          <Button
            look={here ? 'quiet' : 'brass'}
            disabled={busy}
            data-testid="push"
            onClick={() => void (here ? turnOff() : turnOn(key))}
          >
            {t(here ? 'push.turnOff' : 'push.turnOn')}
          </Button>
        )}
      </div>
      <p role="alert" className={styles.wrong}>
        {wrong}
      </p>
      {devices.length > 0 && (
        <ul className={rows.rows} aria-label={t('push.devices')}>
          {devices.map((device) => (
            <li key={device.id} className={rows.row}>
              <div className={rows.about}>
                <strong>
                  {device.name}
                  {device.current && <span className={styles.here}>{t('push.this')}</span>}
                </strong>
                <span>{t('push.since', { when: date(device.created_at) })}</span>
              </div>
              <Button
                look="quiet"
                disabled={busy}
                aria-label={t('push.remove.label', { device: device.name })}
                onClick={() => void remove(device)}
              >
                {t('push.remove')}
              </Button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function state(key: string | null | undefined, here: boolean) {
  if (key == null) return 'push.site';
  if (!supported()) return 'push.unsupported';
  if (here) return 'push.on';
  return permission() === 'denied' ? 'push.denied' : 'push.off';
}
