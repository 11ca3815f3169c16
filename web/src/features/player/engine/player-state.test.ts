import { describe, expect, it } from 'vitest';
import { stateOf, type Facts } from './player-state';

const facts: Facts = {
  phase: { kind: 'attached' },
  wantsPlay: true,
  hasMedia: true,
  hasPlayed: true,
  gap: false,
};

describe('stateOf', () => {
  it.each([
    ['playing', facts],
    ['playing', { ...facts, gap: true }],
    ['loading', { ...facts, hasMedia: false, hasPlayed: false }],
    ['buffering', { ...facts, hasMedia: false }],
    ['interrupted', { ...facts, hasMedia: false, gap: true }],
    ['paused', { ...facts, wantsPlay: false, hasMedia: false, gap: true }],
    ['offline', { ...facts, phase: { kind: 'offline' } }],
    ['playing', { ...facts, phase: { kind: 'reconnecting' } }],
    ['error', { ...facts, phase: { kind: 'reconnecting' }, hasMedia: false }],
    ['error', { ...facts, phase: { kind: 'failed', problem: 'undecodable' } }],
  ] as const)('is %s given %o', (kind, given) => {
    expect(stateOf(given).kind).toBe(kind);
  });
});
