import { describe, expect, it } from 'vitest';
import { bitrate, clock, codecName, count, encoderName, frameRate, pictureName } from './format';

describe('format', () => {
  it.each([
    [-3, '0:00'],
    [65.9, '1:05'],
    [3723, '1:02:03'],
  ])('writes %d s as a clock', (seconds, text) => expect(clock(seconds)).toBe(text));

  it.each([
    [128_400, '128 kbit/s'],
    [6_234_000, '6.2 Mbit/s'],
  ])('writes %d bit/s', (bits, text) => expect(bitrate(bits)).toBe(text));

  it('writes counts, rates and picture sizes', () => {
    expect([count(7), count(1234)]).toEqual(['7', '1.2K']);
    expect([frameRate(29.97003), frameRate(60)]).toEqual(['29.97', '60']);
    expect([pictureName(1080, 59.94), pictureName(720, 30), pictureName(360)]).toEqual([
      '1080p60',
      '720p',
      '360p',
    ]);
  });

  it('names encoders as people do', () => {
    expect(encoderName('obs-output module (libobs version 29.0.2)')).toBe('OBS 29.0.2');
    expect(encoderName('Lavf59.27.100')).toBe('Lavf59.27.100');
  });

  it.each([
    ['avc1.64002a', 'H.264'],
    ['mp4a.40.2', 'AAC'],
    ['h264', 'H.264'],
    ['av01.0.08M.08', 'AV1'],
    ['dts', 'dts'],
  ])('names the codec %s', (codec, name) => expect(codecName(codec)).toBe(name));
});
