//! Inputs that rml_rtmp 0.8 does not survive.
#![allow(dead_code, reason = "each test file uses its part")]

/// A type 0 chunk header with a one-byte basic header.
pub(crate) fn header(chunk_stream: u8, length: usize, type_id: u8, message_stream: u32) -> Vec<u8> {
    let mut out = vec![chunk_stream, 0, 0, 0];
    out.extend_from_slice(&u32::try_from(length).expect("short").to_be_bytes()[1..]);
    out.push(type_id);
    out.extend_from_slice(&message_stream.to_le_bytes());
    out
}

/// One message as one chunk.
pub(crate) fn message(chunk_stream: u8, type_id: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 128);
    let mut out = header(chunk_stream, payload.len(), type_id, 0);
    out.extend_from_slice(payload);
    out
}

/// A video message of `video_bytes` in 128-byte chunks on chunk stream 6, with a whole audio message on chunk
/// stream 4 after its first chunk, as the chunk format exists for. Returns input, video and audio payload.
pub(crate) fn interleaved(video_bytes: usize, audio_bytes: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let video: Vec<u8> = (0..video_bytes).map(|i| u8::try_from(i % 251).expect("below 251")).collect();
    let audio: Vec<u8> = vec![0xaf; audio_bytes];
    let mut input = header(6, video.len(), 9, 1);
    let mut chunks = video.chunks(128);
    input.extend_from_slice(chunks.next().expect("not empty"));
    input.extend_from_slice(&header(4, audio.len(), 8, 1));
    input.extend_from_slice(&audio);
    for chunk in chunks {
        input.push(0xc6);
        input.extend_from_slice(chunk);
    }
    (input, video, audio)
}

/// A command message that has a name and a transaction, and no command object.
pub(crate) fn short_command() -> Vec<u8> {
    let mut amf = vec![2, 0, 7];
    amf.extend_from_slice(b"connect");
    amf.extend_from_slice(&[0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    message(3, 20, &amf)
}

/// `depth` objects, each the value of property `a` of the one around it; four bytes each, never closed.
pub(crate) fn nested_objects(depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..depth {
        out.extend_from_slice(&[3, 0, 1, b'a']);
    }
    out
}

/// Window Acknowledgement Size.
pub(crate) fn window_acknowledgement_size(bytes: u32) -> Vec<u8> {
    message(2, 5, &bytes.to_be_bytes())
}

/// Ping request.
pub(crate) fn ping_request(timestamp: u32) -> Vec<u8> {
    let mut payload = vec![0, 6];
    payload.extend_from_slice(&timestamp.to_be_bytes());
    message(2, 4, &payload)
}
