import { Tooltip } from '@base-ui/react/tooltip';
import { Headphones, VolumeX } from 'lucide-react';
import { useEffect, useState, type PointerEvent, type ReactNode } from 'react';
import type { Stream } from '@/api/streams';
import { ChannelArt } from '@/components/ChannelArt';
import { playbackUrlOf } from '@/lib/channel';
import { useSettings } from '@/lib/useSettings';
import { t } from '@/text/t';
import { useAddress } from '../hooks/useAddress';
import { useAwake } from '../hooks/useAwake';
import { useFullscreen } from '../hooks/useFullscreen';
import { usePictureInPicture } from '../hooks/usePictureInPicture';
import { useBeats } from '../hooks/useBeats';
import { usePlayer } from '../hooks/usePlayer';
import { useShortcuts } from '../hooks/useShortcuts';
import type { Command } from '../model/shortcuts';
import { ContainerContext } from './container';
import { Controls } from './Controls';
import { HelpDialog } from './HelpDialog';
import { StateOverlay } from './StateOverlay';
import { StatsPanel } from './StatsPanel';
import styles from './PlayerFrame.module.css';

interface Props {
  readonly channel: string;
  /** What the server says of the broadcast; `null` while unknown or offline. */
  readonly stream: Stream | null;
  /** The broadcast began or ended, so `stream` is out of date. */
  readonly onTurned: () => void;
  readonly autoplay?: boolean;
  /** Overrides what this browser remembers. */
  readonly muted?: boolean | undefined;
  readonly theatre?: { readonly active: boolean; readonly toggle: () => void };
  /** Goes to where one writes in the chat; absent where there is none. */
  readonly onChat?: (() => void) | undefined;
  /** Stands at the top of the picture with the controls. */
  readonly header?: ReactNode;
}

const SEEK_STEP = 5;
const VOLUME_STEP = 0.05;

/** The player with everything around it: picture, states, controls, keys. */
export function PlayerFrame({ channel, stream, onTurned, autoplay = true, muted, theatre, onChat, header }: Props) {
  const [settings, change] = useSettings();
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const { attach, video, player, view } = usePlayer({
    url: playbackUrlOf(channel),
    autoplay,
    muted: muted ?? settings.muted,
    volume: settings.volume,
    wish: settings.quality,
  });
  useAddress(player, stream, onTurned);
  const [menu, setMenu] = useState(false);
  const [help, setHelp] = useState(false);
  const fullscreen = useFullscreen(frame, video);
  const pip = usePictureInPicture(video);
  const kind = view?.state.kind ?? 'loading';
  // Stands there while the broadcast starts. One for each: a newer one would only be fetched, not seen.
  const [poster, setPoster] = useState<{ broadcast: string; url: string } | null>(null);
  if (stream?.thumbnail_url && poster?.broadcast !== stream.broadcast) {
    setPoster({ broadcast: stream.broadcast, url: stream.thumbnail_url });
  }
  useBeats(channel, player, kind === 'playing' || kind === 'buffering' || kind === 'interrupted');
  const moving = kind === 'playing' || kind === 'buffering';
  const { awake, wake, sleep } = useAwake(!moving || menu || help);

  useEffect(() => player?.events.on('turned', onTurned), [player, onTurned]);
  useEffect(() => player?.events.on('wished', (quality) => change({ quality })), [player, change]);

  // Remembered only when the person did it: sound that the browser refused is not a wish for silence.
  const setMuted = (next: boolean) => {
    player?.setMuted(next);
    change({ muted: next });
  };
  const setVolume = (next: number) => {
    player?.setVolume(next);
    change({ volume: Math.min(1, Math.max(0, next)), muted: next <= 0 });
  };

  const run = (command: Command) => {
    wake();
    if (player === null || view === null) return;
    switch (command) {
      case 'play':
        player.togglePlay();
        return;
      case 'mute':
        setMuted(!view.muted);
        return;
      case 'louder':
        setVolume((view.muted ? 0 : view.volume) + VOLUME_STEP);
        return;
      case 'softer':
        setVolume((view.muted ? 0 : view.volume) - VOLUME_STEP);
        return;
      case 'back':
        player.seekBy(-SEEK_STEP);
        return;
      case 'forward':
        player.seekBy(SEEK_STEP);
        return;
      case 'live':
        player.jumpToLive();
        return;
      case 'fullscreen':
        fullscreen.toggle?.();
        return;
      case 'theatre':
        theatre?.toggle();
        return;
      case 'pip':
        pip.toggle?.();
        return;
      case 'chat':
        onChat?.();
        return;
      case 'stats':
        change({ stats: !settings.stats });
        return;
      case 'help':
        setHelp(!help);
    }
  };
  useShortcuts(settings.shortcuts, run);

  // A finger shows and hides the controls; a mouse click plays and pauses, and moving it shows them.
  const handlePointerUp = (event: PointerEvent) => {
    if (event.pointerType === 'mouse') {
      if (event.button === 0) player?.togglePlay();
    } else if (awake) sleep();
    else wake();
  };

  const soundOnly = view?.quality.chosen === 'audio' || (stream !== null && !stream.health.video && Boolean(stream.health.audio));

  return (
    <ContainerContext value={frame}>
      <Tooltip.Provider>
        <div
          ref={setFrame}
          className={styles.frame}
          role="region"
          aria-label={t('player.label', { channel })}
          data-testid="player"
          data-state={kind}
          data-latency={view?.latency?.toFixed(2) ?? ''}
          data-muted={view?.muted ?? true}
          data-edge={view?.atEdge ?? true}
          data-awake={awake}
          onPointerMove={(event) => {
            if (event.pointerType === 'mouse') wake();
          }}
          onPointerLeave={(event) => {
            if (event.pointerType === 'mouse') sleep();
          }}
          onFocus={wake}
        >
          {/* Live captions come with the stream; the browser draws the tracks that hls.js adds. */}
          <video
            ref={attach}
            className={styles.video}
            poster={poster?.url}
            aria-label={t('player.video', { channel })}
            onPointerUp={handlePointerUp}
            onDoubleClick={() => fullscreen.toggle?.()}
          />
          {soundOnly && kind !== 'offline' && (
            <div className={styles.soundOnly} aria-hidden="true">
              <ChannelArt name={channel} />
              <span className={styles.soundOnlyText}>
                <Headphones size={22} /> {t('player.audioOnly')}
              </span>
            </div>
          )}
          <StateOverlay
            channel={channel}
            view={view}
            player={player}
            interruptedUntil={stream?.interrupted_until ?? undefined}
          />
          {view?.soundBlocked === true && moving && (
            <button type="button" className={styles.unmute} data-testid="unmute" onClick={() => setMuted(false)}>
              <VolumeX size={20} aria-hidden="true" />
              {t('player.unmutePrompt')}
              <span className="visually-hidden">{t('player.unmuteWhy')}</span>
            </button>
          )}
          {header !== undefined && <div className={styles.header}>{header}</div>}
          {settings.stats && video !== null && player !== null && view !== null && (
            <StatsPanel
              video={video}
              player={player}
              view={view}
              stream={stream}
              onClose={() => change({ stats: false })}
            />
          )}
          {player !== null && view !== null && (
            <div className={styles.controls}>
              <Controls
                player={player}
                view={view}
                stream={stream}
                shortcuts={settings.shortcuts}
                active={{
                  stats: settings.stats,
                  pip: pip.active,
                  theatre: theatre?.active ?? false,
                  fullscreen: fullscreen.active,
                }}
                possible={{
                  pip: pip.toggle !== null,
                  theatre: theatre !== undefined,
                  fullscreen: fullscreen.toggle !== null,
                }}
                run={run}
                onMenu={setMenu}
                onMuted={setMuted}
                onVolume={setVolume}
              />
            </div>
          )}
          <HelpDialog
            open={help}
            onOpenChange={setHelp}
            enabled={settings.shortcuts}
            onEnabledChange={(shortcuts) => change({ shortcuts })}
            theatre={theatre !== undefined}
            chat={onChat !== undefined}
          />
        </div>
      </Tooltip.Provider>
    </ContainerContext>
  );
}
