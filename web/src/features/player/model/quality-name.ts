import { pictureName } from '@/lib/format';
import { t } from '@/text/t';
import type { Quality, QualityId } from '../engine/source';

/** The name of a quality as it stands in the menu. */
export function qualityName(quality: Quality): string {
  if (quality.id === 'auto') return t('player.quality.auto');
  if (quality.id === 'audio') return t('player.quality.audio');
  const name = quality.height === null ? null : pictureName(quality.height, quality.frameRate);
  if (!quality.source) return name ?? t('stats.none');
  return name === null ? t('player.quality.source') : t('player.quality.sourceOf', { name });
}

/** The name of what the menu's choice means now: `Auto (720p)`, or the choice itself. */
export function chosenName(
  qualities: readonly Quality[],
  { chosen, playing }: { readonly chosen: QualityId; readonly playing: QualityId | null },
): string {
  const find = (id: QualityId | null) => qualities.find((quality) => quality.id === id);
  const now = find(playing);
  if (chosen === 'auto' && now?.height) {
    return t('player.quality.autoNow', { name: pictureName(now.height, now.frameRate) });
  }
  const choice = find(chosen);
  return choice ? qualityName(choice) : t('player.quality.auto');
}
