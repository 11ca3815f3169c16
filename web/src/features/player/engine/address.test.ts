import { describe, expect, it } from 'vitest';
import { readdressed } from './address';

const { origin } = location;

describe('readdressed', () => {
  const current = '/t/new.to.ken/live/studio/index.m3u8';

  it('puts the newest token in front of media, whatever token was there', () => {
    const wanted = `${origin}/t/new.to.ken/live/studio/main/index.m3u8?_HLS_msn=7`;
    expect(readdressed('/live/studio/main/index.m3u8?_HLS_msn=7', current)).toBe(wanted);
    expect(readdressed(`${origin}/t/old.to.ken/live/studio/main/index.m3u8?_HLS_msn=7`, current)).toBe(wanted);
  });

  it('leaves everything else alone', () => {
    const media = '/live/studio/main/a-s1.m4s';
    expect(readdressed(media, '/live/studio/index.m3u8')).toBe(media);
    expect(readdressed(`/t/old.to.ken${media}`, '/live/studio/index.m3u8')).toBe(`/t/old.to.ken${media}`);
    expect(readdressed('/api/v1/streams', current)).toBe('/api/v1/streams');
    expect(readdressed(`https://cdn.example${media}`, current)).toBe(`https://cdn.example${media}`);
  });
});
