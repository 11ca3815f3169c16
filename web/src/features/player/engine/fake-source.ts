import { Emitter } from '@/lib/emitter';
import type { Position, QualityId, Source, SourceEvents, SourceOptions } from './source';

/** A source for tests, which plays what the test says. */
export class FakeSource implements Source {
  readonly name = 'hls.js';
  readonly events = new Emitter<SourceEvents>();
  now: Position | null = null;
  loaded: string | null = null;
  destroyed = false;
  recoveries = 0;
  chosen: QualityId = 'auto';
  readonly audioOnly: boolean;
  readonly address: (url: string) => string;

  constructor({ audioOnly, address }: SourceOptions) {
    this.audioOnly = audioOnly;
    this.address = address;
  }

  load(url: string) {
    this.loaded = url;
  }

  position() {
    return this.now;
  }

  quality() {
    return { chosen: this.audioOnly ? ('audio' as const) : this.chosen, playing: null };
  }

  chooseQuality(id: QualityId) {
    if (this.audioOnly || id === 'audio') return false;
    this.chosen = id;
    return true;
  }

  recover() {
    this.recoveries += 1;
    return this.recoveries < 3;
  }

  destroy() {
    this.destroyed = true;
  }
}
