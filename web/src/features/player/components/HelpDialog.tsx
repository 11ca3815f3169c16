import { Dialog } from '@base-ui/react/dialog';
import { Switch } from '@base-ui/react/switch';
import { X } from 'lucide-react';
import { t } from '@/text/t';
import { useContainer } from './container';
import button from './ControlButton.module.css';
import styles from './HelpDialog.module.css';

interface Props {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
  readonly enabled: boolean;
  readonly onEnabledChange: (enabled: boolean) => void;
  readonly theatre: boolean;
  readonly chat: boolean;
}

/** The shortcuts and the switch that turns them off (WCAG 2.2 SC 2.1.4). */
export function HelpDialog({ open, onOpenChange, enabled, onEnabledChange, theatre, chat }: Props) {
  const container = useContainer();
  const rows: readonly (readonly [string, readonly string[]])[] = [
    [t('help.play'), ['Space', 'K']],
    [t('help.mute'), ['M']],
    [t('help.volume'), ['↑', '↓']],
    [t('help.seek'), ['←', '→']],
    [t('help.live'), ['End']],
    [t('help.fullscreen'), ['F']],
    ...(theatre ? ([[t('help.theatre'), ['T']]] as const) : []),
    [t('help.pip'), ['P']],
    ...(chat ? ([[t('help.chat'), ['C']]] as const) : []),
    [t('help.stats'), ['I']],
    [t('help.help'), ['?']],
  ];
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal container={container}>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup className={styles.dialog} data-testid="help-dialog">
          <header className={styles.header}>
            <Dialog.Title className={styles.title}>{t('help.title')}</Dialog.Title>
            <Dialog.Close className={button.button} aria-label={t('common.close')}>
              <X aria-hidden="true" />
            </Dialog.Close>
          </header>
          <dl className={styles.list} data-off={!enabled}>
            {rows.map(([name, keys]) => (
              <div key={name} className={styles.row}>
                <dt>{name}</dt>
                <dd className={styles.keys}>
                  {keys.map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
          <label className={styles.switchRow}>
            {t('player.shortcuts')}
            <Switch.Root
              checked={enabled}
              onCheckedChange={onEnabledChange}
              className={styles.switch}
              data-testid="shortcuts-switch"
            >
              <Switch.Thumb className={styles.thumb} />
            </Switch.Root>
          </label>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
