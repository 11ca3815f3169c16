import { Tooltip } from '@base-ui/react/tooltip';
import type { ReactNode } from 'react';
import { useContainer } from './container';
import styles from './ControlButton.module.css';

interface Props {
  readonly label: string;
  /** The shortcut, shown with the label. */
  readonly hint?: string | undefined;
  readonly testid: string;
  readonly onPress: () => void;
  readonly pressed?: boolean;
  readonly className?: string | undefined;
  readonly children: ReactNode;
}

/** One round button of the control bar, named by its tooltip. */
export function ControlButton({ label, hint, testid, onPress, pressed, className, children }: Props) {
  const container = useContainer();
  return (
    <Tooltip.Root>
      <Tooltip.Trigger
        className={[styles.button, className].filter(Boolean).join(' ')}
        aria-label={label}
        aria-pressed={pressed}
        data-testid={testid}
        onClick={onPress}
        delay={450}
      >
        {children}
      </Tooltip.Trigger>
      <Tooltip.Portal container={container}>
        <Tooltip.Positioner sideOffset={10} className={styles.positioner}>
          <Tooltip.Popup className={styles.tip}>
            {label}
            {hint !== undefined && <kbd className={styles.key}>{hint}</kbd>}
          </Tooltip.Popup>
        </Tooltip.Positioner>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
