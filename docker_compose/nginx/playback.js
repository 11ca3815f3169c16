// Checks the playback token of /t/{token}/live/{channel}/… (RFC 7519, HS256), so that nginx can answer from its cache.
// For njs 0.7.9 and newer; docs/playback.md says how to use it.

import crypto from 'crypto';
import fs from 'fs';

const AUDIENCE = 'millrace:playback';
const ISSUER = 'millrace';
const ADDRESS = /^\/t\/([^/]+)(\/live\/([a-z0-9_]{3,25})\/.+)$/;

// The same file as MILLRACE_PLAYBACK__SECRET_FILE: one secret a line.
function secrets(r) {
  return fs
    .readFileSync(r.variables.millrace_playback_secrets, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.length >= 32);
}

// In a time that tells nothing about where two texts differ.
function same(a, b) {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) {
    difference |= a.charCodeAt(i) ^ b.charCodeAt(i % b.length);
  }
  return difference === 0;
}

function decoded(text) {
  return JSON.parse(Buffer.from(text, 'base64url').toString());
}

function opens(r, token, channel) {
  const parts = token.split('.');
  if (parts.length !== 3 || parts[2].length === 0 || token.length > 512) {
    return false;
  }
  const signed = parts[0] + '.' + parts[1];
  const good = secrets(r).some((secret) =>
    same(parts[2], crypto.createHmac('sha256', secret).update(signed).digest('base64url')));
  if (!good || decoded(parts[0]).alg !== 'HS256') {
    return false;
  }
  const claims = decoded(parts[1]);
  return claims.iss === ISSUER && claims.aud === AUDIENCE && claims.sub === channel && claims.exp > Date.now() / 1000;
}

// What the address is without its token: the key of the cache. Empty if the token does not open it.
function opened(r) {
  // As it was sent: what nginx cleaned up is not what the origin will see.
  const found = ADDRESS.exec(r.variables.millrace_path);
  if (found === null) {
    return '';
  }
  try {
    return opens(r, found[1], found[3]) ? found[2] : '';
  } catch (error) {
    r.error('playback token: ' + error.message);
    return '';
  }
}

export default { opened };
