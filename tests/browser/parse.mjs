// Reads playlists from files with hls-parser, a parser that is neither ours nor the checker's, and prints what it saw.
//
//   node parse.mjs a.m3u8 b.m3u8 …
import { readFile } from 'node:fs/promises';
import HLS from 'hls-parser';
import { say } from './lib.mjs';

// The parser takes "three target durations from the end" for three segments, which is wrong where segments are shorter
// than the target duration. The checker judges that rule; everything else is asked of the parser strictly.
const MISTAKEN = 'greater than three target durations';

function parse(text) {
  try {
    HLS.setOptions({ strictMode: true });
    return HLS.parse(text);
  } catch (error) {
    if (!String(error).includes(MISTAKEN)) throw error;
    HLS.setOptions({ strictMode: false, silent: true });
    return HLS.parse(text);
  }
}

for (const path of process.argv.slice(2)) {
  const text = await readFile(path, 'utf8');
  try {
    const list = parse(text);
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
