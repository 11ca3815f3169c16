//! What a publisher writes: plain bytes, so that nothing of what is tested builds its own input.
#![allow(dead_code, reason = "each test takes its part")]

/// Chunks of one message with full first header on a chunk stream below 64.
pub(crate) fn chunks(
    csid: u8,
    time: u32,
    type_id: u8,
    stream: u32,
    payload: &[u8],
    chunk_size: usize,
) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a test message").to_be_bytes();
    let field = time.min(0x00ff_ffff).to_be_bytes();
    let mut out = vec![csid, field[1], field[2], field[3], length[1], length[2], length[3], type_id];
    out.extend_from_slice(&stream.to_le_bytes());
    if time >= 0x00ff_ffff {
        out.extend_from_slice(&time.to_be_bytes());
    }
    for (at, chunk) in payload.chunks(chunk_size).enumerate() {
        if at > 0 {
            out.push(0xc0 | csid);
            if time >= 0x00ff_ffff {
                out.extend_from_slice(&time.to_be_bytes());
            }
        }
        out.extend_from_slice(chunk);
    }
    out
}

/// One message in chunks of 128 bytes, each type on the chunk stream that encoders use.
pub(crate) fn message(time: u32, type_id: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let csid = match type_id {
        1..=6 => 2,
        8 => 4,
        9 => 6,
        _ => 3,
    };
    chunks(csid, time, type_id, stream, payload, 128)
}

/// C0 and C1 of the simple handshake, or C2: the size is all that counts.
pub(crate) fn hello() -> Vec<u8> {
    let mut out = vec![3];
    out.extend_from_slice(&[0; 1536]);
    out
}

/// AVC sequence header, keyframe and inter frame; AAC sequence header and frame. Too short to decode.
pub(crate) const AVC_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff];
pub(crate) const AVC_KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0x88];
pub(crate) const AVC_INTER: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 0x9a];
pub(crate) const AAC_HEADER: &[u8] = &[0xaf, 0, 0x11, 0x90];
pub(crate) const AAC_FRAME: &[u8] = &[0xaf, 1, 0x21, 0x10, 0x04];
