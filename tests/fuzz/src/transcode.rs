//! The pipes of the transcoder.

use std::fmt::Debug;

use millrace_core::transcode::{
    LadderOrder, LadderReport, Reader, SoundOrder, SoundReport, StillOrder, StillReport, write,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What comes out of bytes in pieces, and whether they ended in something that is none.
fn read<T: DeserializeOwned>(bytes: &[u8], piece: usize) -> (Vec<T>, bool) {
    let (mut reader, mut messages) = (Reader::default(), Vec::new());
    for bytes in bytes.chunks(piece.max(1)) {
        reader.push(bytes);
        loop {
            match reader.message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

/// However the pipe cuts them, the same messages come out, and they go in and come out again as they are.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8], piece: usize) {
    let (messages, broken) = read::<T>(bytes, piece);
    assert_eq!((&messages, broken), (&read(bytes, bytes.len()).0, read::<T>(bytes, bytes.len()).1));
    let mut again = Vec::new();
    for message in &messages {
        write(message, &mut again).expect("what was read is not too long");
    }
    assert_eq!((messages, false), read(&again, piece));
}

/// Target `transcode_pipe`: what either end reads. The first byte says which of the six kinds of messages, the second is the size
/// of the pieces.
pub fn transcode_pipe(data: &[u8]) {
    let Some((&[kind, piece], bytes)) = data.split_first_chunk() else { return };
    let check = match kind % 6 {
        0 => check::<LadderOrder>,
        1 => check::<LadderReport>,
        2 => check::<StillOrder>,
        3 => check::<StillReport>,
        4 => check::<SoundOrder>,
        _ => check::<SoundReport>,
    };
    check(bytes, piece.into());
}
