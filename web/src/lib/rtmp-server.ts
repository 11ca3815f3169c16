/** The RTMP address to give to an encoder, for a page served by `hostname`. */
export function rtmpServer(hostname: string): string {
  return `rtmp://${hostname}:1935/live`;
}
