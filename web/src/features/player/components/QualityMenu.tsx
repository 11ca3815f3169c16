import { Menu } from '@base-ui/react/menu';
import { Check, Settings2 } from 'lucide-react';
import { t } from '@/text/t';
import type { Player, PlayerView } from '../engine/player';
import { chosenName, qualityName } from '../model/quality-name';
import { useContainer } from './container';
import button from './ControlButton.module.css';
import styles from './QualityMenu.module.css';

interface Props {
  readonly view: PlayerView;
  readonly player: Player;
  readonly onOpenChange: (open: boolean) => void;
}

export function QualityMenu({ view, player, onOpenChange }: Props) {
  const container = useContainer();
  const { qualities, quality } = view;
  if (qualities.length === 0) return null;
  const label = `${t('player.quality')}: ${chosenName(qualities, quality)}`;
  return (
    <Menu.Root onOpenChange={onOpenChange} modal={false}>
      <Menu.Trigger className={button.button} aria-label={label} title={label} data-testid="quality">
        <Settings2 aria-hidden="true" />
      </Menu.Trigger>
      <Menu.Portal container={container}>
        <Menu.Positioner side="top" align="end" sideOffset={12} className={styles.positioner}>
          <Menu.Popup className={styles.menu}>
            <Menu.RadioGroup
              value={quality.chosen}
              onValueChange={(id: typeof quality.chosen) => player.chooseQuality(id)}
            >
              <Menu.Group>
                <Menu.GroupLabel className={styles.title}>{t('player.quality')}</Menu.GroupLabel>
                {qualities.map((choice) => (
                  <Menu.RadioItem
                    key={choice.id}
                    value={choice.id}
                    closeOnClick
                    className={styles.item}
                    data-testid={`quality-${choice.id}`}
                  >
                    <Menu.RadioItemIndicator className={styles.check} keepMounted>
                      <Check size={16} aria-hidden="true" />
                    </Menu.RadioItemIndicator>
                    {qualityName(choice)}
                  </Menu.RadioItem>
                ))}
              </Menu.Group>
            </Menu.RadioGroup>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
