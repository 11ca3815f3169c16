// Reads playlists from files with hls-parser, a parser that is neither ours nor the checker's, and prints what it saw.
//
//   node parse.mjs a.m3u8 b.m3u8 …
import { readFile } from 'node:fs/promises';
import HLS from 'hls-parser';
import { say } from './lib.mjs';

HLS.setOptions({ strictMode: true });
for (const path of process.argv.slice(2)) {
  const text = await readFile(path, 'utf8');
  try {
    const list = HLS.parse(text);
    say({
      path,
      master: list.isMasterPlaylist,
      version: list.version,
      variants: list.variants?.length ?? 0,
      segments: list.segments?.length ?? 0,
      parts: list.segments?.reduce((sum, segment) => sum + segment.parts.length, 0) ?? 0,
      sequence: list.mediaSequenceBase ?? null,
      partTarget: list.partTargetDuration ?? null,
      hints: list.prefetchSegments?.length ?? 0,
      reports: list.renditionReports?.length ?? 0,
    });
  } catch (error) {
    say({ path, error: String(error) });
  }
}
