//! Why this crate has a chunk reader, an AMF0 decoder and a session of its own: what rml_rtmp 0.8 does with input
//! that any stranger can send to a public port. The last test feeds the same bytes to this crate.

mod faults;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use rml_rtmp::chunk_io::ChunkDeserializer;
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::sessions::{ServerSession, ServerSessionConfig, ServerSessionResult};

const CHILD: &str = "MILLRACE_TEST_RML_CHILD";

fn read_all(input: &[u8]) -> Vec<MessagePayload> {
    let mut reader = ChunkDeserializer::new();
    let mut messages = Vec::new();
    let mut bytes = input;
    while let Ok(Some(message)) = reader.get_next_message(bytes) {
        messages.push(message);
        bytes = &[];
    }
    messages
}

#[test]
fn interleaved_chunk_streams_corrupt_a_message() {
    let (input, video, audio) = faults::interleaved(300, 100);
    let outcome = catch_unwind(AssertUnwindSafe(|| read_all(&input)));
    let right = outcome.is_ok_and(|messages| {
        messages.iter().any(|m| m.type_id == 9 && m.data == video)
            && messages.iter().any(|m| m.type_id == 8 && m.data == audio)
    });
    assert!(!right, "rml_rtmp reads interleaved chunk streams now: reconsider our own reader");
}

#[test]
fn a_short_message_inside_a_longer_one_panics_or_corrupts() {
    // The audio message is shorter than what the shared buffer holds of the video message already: its remaining
    // length goes below zero.
    let (input, _, audio) = faults::interleaved(300, 10);
    let outcome = catch_unwind(AssertUnwindSafe(|| read_all(&input)));
    assert!(outcome.is_err() || !outcome.is_ok_and(|all| all.iter().any(|m| m.data == audio)));
}

#[test]
fn a_command_of_two_values_panics() {
    let outcome = catch_unwind(|| {
        let (mut session, _) = ServerSession::new(ServerSessionConfig::new()).expect("a new session");
        let _ = session.handle_input(&faults::short_command());
    });
    assert!(outcome.is_err(), "rml_rtmp takes short commands now");
}

#[test]
fn sixteen_megabytes_of_nulls_become_gigabytes_of_values() {
    // The reader takes any announced length up to 2^24 - 1, and each byte becomes one value.
    let megabyte = vec![5u8; 1 << 20];
    let values = rml_amf0::deserialize(&mut megabyte.as_slice()).expect("nulls are values");
    let per_value = std::mem::size_of::<rml_amf0::Amf0Value>();
    assert_eq!(values.len(), 1 << 20);
    assert!(values.len() * per_value * 16 > 300 << 20, "{per_value} bytes per value");
}

#[test]
fn deeply_nested_amf0_aborts_the_process() {
    // In a child: a stack overflow cannot be caught. The depth is what 16 KB of input hold; the stack is tokio's
    // default for a worker thread.
    let output = Command::new(std::env::current_exe().expect("this test's binary"))
        .args(["--exact", "child_decodes_nested_amf0", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("the child runs");
    assert!(!output.status.success(), "rml_amf0 survives deep nesting now");
    assert!(String::from_utf8_lossy(&output.stderr).contains("overflowed its stack"));
}

#[test]
fn child_decodes_nested_amf0() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(|| {
            let nested = faults::nested_objects(16 * 1024 / 4);
            let _ = rml_amf0::deserialize(&mut nested.as_slice());
        })
        .expect("a thread")
        .join()
        .expect("it ends");
}

#[test]
fn acknowledgements_count_since_the_last_one() {
    let (mut session, first) = ServerSession::new(ServerSessionConfig::new()).expect("a new session");
    let mut results = first;
    results.extend(session.handle_input(&faults::window_acknowledgement_size(1000)).expect("a window"));
    for _ in 0..300 {
        results.extend(session.handle_input(&faults::ping_request(7)).expect("a ping"));
    }
    let mut reader = ChunkDeserializer::new();
    let mut totals = Vec::new();
    for result in results {
        let ServerSessionResult::OutboundResponse(packet) = result else { continue };
        let message = reader.get_next_message(&packet.bytes).expect("a chunk").expect("a message");
        let number = || u32::from_be_bytes(message.data[..4].try_into().expect("four bytes"));
        match message.type_id {
            1 => reader.set_max_chunk_size(number() as usize).expect("a chunk size"),
            3 => totals.push(number()),
            _ => {}
        }
    }
    assert!(totals.len() > 1);
    // The specification says running totals: each would have to be about 1000 more than the one before.
    assert!(totals.windows(2).all(|two| two[1] < two[0] + 500), "{totals:?}");
}

#[test]
fn the_same_input_through_ours_is_a_message_or_an_error() {
    use millrace_ingest::rtmp::amf0::{self, Amf0Error};
    use millrace_ingest::rtmp::chunk::ChunkReader;
    use millrace_ingest::rtmp::limits::{Amf0Limits, ChunkLimits};

    for audio_bytes in [10, 100] {
        let (input, video, audio) = faults::interleaved(300, audio_bytes);
        let mut reader = ChunkReader::new(ChunkLimits::default());
        let mut rest = input.as_slice();
        let first = reader.read(&mut rest).expect("valid").expect("the audio message");
        let second = reader.read(&mut rest).expect("valid").expect("the video message");
        assert_eq!((first.type_id, first.payload), (8, audio.into()));
        assert_eq!((second.type_id, second.payload), (9, video.into()));
    }
    let limits = Amf0Limits::default();
    let nested = faults::nested_objects(16 * 1024 / 4);
    assert!(matches!(amf0::decode(&nested, limits), Err(Amf0Error::TooDeep { .. })));
    let nulls = vec![5; 16 << 20];
    assert!(matches!(amf0::decode(&nulls, limits), Err(Amf0Error::TooManyValues { .. })));
}
