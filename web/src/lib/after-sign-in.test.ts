import { describe, expect, it } from 'vitest';
import { pathAfterSignIn } from './after-sign-in';

describe('the way on after signing in', () => {
  it.each([
    ['/dashboard', '/dashboard'],
    ['/@studio?x=1', '/@studio?x=1'],
    [null, '/'],
    ['', '/'],
    ['dashboard', '/'],
    ['https://elsewhere.example/', '/'],
    ['//elsewhere.example/', '/'],
    ['/\\elsewhere.example', '/'],
    ['/\t/elsewhere.example', '/'],
    ['javascript:alert(1)', '/'],
  ])('%s leads to %s', (next, path) => {
    expect(pathAfterSignIn(next)).toBe(path);
  });
});
