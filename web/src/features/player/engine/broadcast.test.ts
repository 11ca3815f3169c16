import { describe, expect, it } from 'vitest';
import { broadcastOf } from './broadcast';

describe('broadcastOf', () => {
  it.each([
    ['https://a.example/live/studio/main/gy4s24trfz-s1795295266.m4s', 'gy4s24trfz'],
    ['/t/abc/live/studio/main/gy4s24trfz-p31.m4s?x=1', 'gy4s24trfz'],
    ['gy4s-24-p0.m4s', 'gy4s-24'],
    ['https://a.example/live/studio/main/segment12.m4s', null],
    ['https://a.example/live/studio/main/', null],
    ['', null],
  ])('reads %s as %s', (url, broadcast) => expect(broadcastOf(url)).toBe(broadcast));
});
