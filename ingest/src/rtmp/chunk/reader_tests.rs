use super::*;
use crate::rtmp::chunk::aggregate;
use crate::rtmp::chunk::header::EXTENDED;
use proptest::prelude::*;

fn limits() -> ChunkLimits {
    ChunkLimits::default()
}

fn read_with(limits: ChunkLimits, pieces: &[&[u8]]) -> Result<Vec<Message>, ChunkError> {
    let mut reader = ChunkReader::new(limits);
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(message) = reader.read(&mut input)? {
            all.push(message);
        }
        assert!(input.is_empty());
        assert!(reader.in_flight_bytes() <= limits.max_in_flight_bytes);
    }
    Ok(all)
}

fn read(input: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let whole = read_with(limits(), &[input]);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole, read_with(limits(), &bytes), "one byte at a time reads the same");
    whole
}

fn full(csid: u8, time: u32, length: usize, type_id: u8) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    let field = time.min(EXTENDED).to_be_bytes();
    let mut out =
        vec![csid, field[1], field[2], field[3], length[1], length[2], length[3], type_id, 1, 0, 0, 0];
    if time >= EXTENDED {
        out.extend_from_slice(&time.to_be_bytes());
    }
    out
}

fn message(csid: u8, time: u32, type_id: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() <= 128);
    [&full(csid, time, body.len(), type_id), body].concat()
}

fn summary(messages: &[Message]) -> Vec<(u8, u32, Vec<u8>)> {
    messages.iter().map(|m| (m.type_id, m.timestamp.0, m.payload.to_vec())).collect()
}

#[test]
fn deltas_add_up_over_all_four_formats() {
    let mut input = message(4, 100, 9, b"aa");
    input.extend([0x44, 0, 0, 40, 0, 0, 1, 8, b'b']); // type 1
    input.extend([0x84, 0, 0, 10, b'c']); // type 2
    input.extend([0xc4, b'd']); // type 3 begins a message with the same delta
    let expected =
        [(9, 100, b"aa".to_vec()), (8, 140, b"b".to_vec()), (8, 150, b"c".to_vec()), (8, 160, b"d".to_vec())];
    assert_eq!(summary(&read(&input).unwrap()), expected);
}

#[test]
fn type_3_after_type_0_adds_its_time_as_a_delta() {
    let input = [message(4, 100, 9, b"a"), vec![0xc4, b'b']].concat();
    assert_eq!(summary(&read(&input).unwrap())[1], (9, 200, b"b".to_vec()));
}

#[test]
fn interleaved_chunk_streams_reassemble() {
    let video: Vec<u8> = (0..=255).cycle().take(300).collect();
    let mut input = full(6, 0, video.len(), 9);
    input.extend(&video[..128]);
    input.extend(message(4, 5, 8, b"audio"));
    input.push(0xc6);
    input.extend(&video[128..256]);
    input.extend(message(4, 25, 8, b"more"));
    input.push(0xc6);
    input.extend(&video[256..]);
    let expected = [(8, 5, b"audio".to_vec()), (8, 25, b"more".to_vec()), (9, 0, video)];
    assert_eq!(summary(&read(&input).unwrap()), expected);
}

#[test]
fn both_extended_timestamp_dialects_are_understood() {
    let time = 0x0102_0304;
    for (repeats, fill) in [(true, 7u8), (false, 7), (false, 1)] {
        // A payload of ones begins like the timestamp: the decision takes more than its first byte.
        let body = vec![fill; 300];
        let mut input = full(4, time, body.len(), 9);
        for (at, chunk) in body.chunks(128).enumerate() {
            if at > 0 {
                input.push(0xc4);
                if repeats {
                    input.extend(time.to_be_bytes());
                }
            }
            input.extend(chunk);
        }
        // The next message has the same delta, which is also extended.
        input.extend(message(4, 9, 9, b"x"));
        let expected = [(9, time, body), (9, 9, b"x".to_vec())];
        assert_eq!(summary(&read(&input).unwrap()), expected, "repeats: {repeats}, fill {fill}");
    }
}

#[test]
fn a_short_last_chunk_without_repetition_is_not_swallowed() {
    // The last chunk has two bytes that look like the timestamp's first two, then another header follows.
    let time = 0x0102_0304;
    let mut body = vec![9; 128];
    body.extend([1, 2]);
    let mut input = full(4, time, body.len(), 9);
    input.extend(&body[..128]);
    input.extend([0xc4, 1, 2]);
    input.extend(message(5, 1, 8, b"x"));
    assert_eq!(summary(&read(&input).unwrap()), [(9, time, body), (8, 1, b"x".to_vec())]);
}

#[test]
fn chunk_size_changes_in_the_middle_of_a_message() {
    let body = vec![3; 400];
    let mut input = full(6, 0, body.len(), 9);
    input.extend(&body[..128]);
    input.extend(message(2, 0, 1, &200u32.to_be_bytes()));
    input.push(0xc6);
    input.extend(&body[128..328]);
    input.push(0xc6);
    input.extend(&body[328..]);
    assert_eq!(summary(&read(&input).unwrap()), [(9, 0, body)]);
}

#[test]
fn abort_drops_the_message_under_way_only() {
    let mut input = full(6, 0, 200, 9);
    input.extend([1; 128]);
    input.extend(message(2, 0, 2, &6u32.to_be_bytes()));
    input.extend(message(2, 0, 2, &77u32.to_be_bytes()));
    input.extend(message(6, 3, 9, b"next"));
    assert_eq!(summary(&read(&input).unwrap()), [(9, 3, b"next".to_vec())]);
}

#[test]
fn empty_messages_and_large_chunk_stream_ids_are_messages() {
    let mut input = message(4, 1, 8, b"");
    input.extend([0xc4, 0xc4]);
    let mut two = full(0, 9, 1, 9);
    two.insert(1, 255); // csid 319
    input.extend(two);
    input.push(b'a');
    let mut three = full(1, 9, 1, 9);
    three.splice(1..1, [255, 255]); // csid 65599
    input.extend(three);
    input.push(b'b');
    input.extend([0xc1, 255, 255, b'c']);
    let found: Vec<_> = read(&input).unwrap().iter().map(|m| (m.timestamp.0, m.payload.len())).collect();
    assert_eq!(found, [(1, 0), (2, 0), (3, 0), (9, 1), (9, 1), (18, 1)]);
}

#[test]
fn a_repeated_full_header_continues_its_message() {
    let body = vec![5; 200];
    let mut input = full(6, 7, body.len(), 9);
    input.extend(&body[..128]);
    input.extend(full(6, 7, body.len(), 9));
    input.extend(&body[128..]);
    assert_eq!(summary(&read(&input).unwrap()), [(9, 7, body)]);
}

#[test]
fn an_aggregate_is_its_tags() {
    let payload = aggregate::build(&[(8, 40, b"a"), (9, 60, b"v")]);
    let found = read(&message(6, 1000, 22, &payload)).unwrap();
    assert_eq!(summary(&found), [(8, 1000, b"a".to_vec()), (9, 1020, b"v".to_vec())]);
}

#[test]
fn what_is_wrong_has_its_error() {
    let tight = ChunkLimits {
        max_message_bytes: 1000,
        max_in_flight_bytes: 1500,
        max_partial_messages: 3,
        max_chunk_streams: 5,
    };
    let begun = |csid: u8| [full(csid, 0, 900, 9), vec![0; 128]].concat();
    let set_chunk_size = |size: u32| message(2, 0, 1, &size.to_be_bytes());
    type Check = fn(ChunkError) -> bool;
    let table: Vec<(&str, Vec<u8>, Check)> = vec![
        ("type 3 first", vec![0xc4], |e| matches!(e, ChunkError::NoPreviousHeader { format: 3, .. })),
        ("type 2 first", vec![0x84, 0, 0, 0], |e| {
            matches!(e, ChunkError::NoPreviousHeader { format: 2, .. })
        }),
        ("too long", full(4, 0, 1001, 9), |e| {
            matches!(e, ChunkError::MessageTooLong { announced: 1001, .. })
        }),
        ("too many bytes", [begun(4), begun(5)].concat(), |e| {
            matches!(e, ChunkError::TooManyBytesInFlight { needed: 1800, .. })
        }),
        ("too many chunk streams", (3..9).flat_map(|csid| message(csid, 0, 9, b"")).collect(), |e| {
            matches!(e, ChunkError::TooManyChunkStreams { .. })
        }),
        ("message inside a message", [begun(4), full(4, 0, 10, 9)].concat(), |e| {
            matches!(e, ChunkError::MessageInsideMessage { received: 128, length: 900, announced: 10, .. })
        }),
        ("chunk size 0", set_chunk_size(0), |e| {
            matches!(e, ChunkError::InvalidChunkSize { announced: 0, .. })
        }),
        ("chunk size 2^31", set_chunk_size(1 << 31), |e| matches!(e, ChunkError::InvalidChunkSize { .. })),
        ("short control", message(2, 0, 1, &[0, 0]), |e| matches!(e, ChunkError::ShortControlMessage { .. })),
        ("bad aggregate", message(6, 0, 22, b"short"), |e| {
            matches!(e, ChunkError::MalformedAggregate { .. })
        }),
    ];
    for (what, input, check) in table {
        let error = read_with(tight, &[&input]).expect_err(what);
        assert!(check(error), "{what}: {error}");
    }
}

#[test]
fn too_many_partial_messages_is_an_error() {
    let tight = ChunkLimits { max_partial_messages: 3, ..limits() };
    // Each has one byte of two, in chunks of one byte.
    let mut input = message(2, 0, 1, &1u32.to_be_bytes());
    for csid in 3..7 {
        input.extend(full(csid, 0, 2, 9));
        input.push(0);
    }
    assert!(matches!(read_with(tight, &[&input]), Err(ChunkError::TooManyPartialMessages { limit: 3, .. })));
}

#[test]
fn a_chunk_size_beyond_every_message_is_clamped() {
    let body = vec![1; 5000];
    let mut input = message(2, 0, 1, &i32::MAX.to_be_bytes());
    input.extend(full(4, 0, body.len(), 9));
    input.extend(&body);
    assert_eq!(summary(&read(&input).unwrap()), [(9, 0, body)]);
}

#[test]
fn memory_follows_bytes_not_announcements() {
    let mut reader = ChunkReader::new(limits());
    for csid in 3..35 {
        let input = [full(csid, 0, 8 << 20, 9), vec![0]].concat();
        assert_eq!(reader.read(&mut input.as_slice()), Ok(None));
        // The next chunk of the same stream cannot begin before this one is complete: end it.
        assert_eq!(reader.read(&mut [0u8; 127].as_slice()), Ok(None));
    }
    assert_eq!(reader.partial_messages(), 32);
    assert!(reader.in_flight_bytes() <= 32 * FIRST_RESERVATION, "{}", reader.in_flight_bytes());
}

fn operations() -> impl Strategy<Value = Vec<u8>> {
    let chunk_stream = 2u8..8;
    let one = prop_oneof![
        (chunk_stream.clone(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..128), 8u8..=9)
            .prop_map(|(csid, time, body, type_id)| message(csid, time, type_id, &body)),
        (chunk_stream.clone(), 0usize..400, any::<u32>()).prop_map(|(csid, n, time)| full(csid, time, n, 9)),
        chunk_stream.clone().prop_map(|csid| vec![0xc0 | csid]),
        (chunk_stream, 0u8..60).prop_map(|(csid, n)| vec![0x80 | csid, 0, 0, n]),
        (1u32..300).prop_map(|size| message(2, 0, 1, &size.to_be_bytes())),
        (2u32..9).prop_map(|csid| message(2, 0, 2, &csid.to_be_bytes())),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    prop::collection::vec(one, 0..40).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages_within_the_limits(
        input in operations(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let tight = ChunkLimits { max_message_bytes: 70_000, max_in_flight_bytes: 100_000, ..limits() };
        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(input.len() + 1)).collect();
        at.extend([0, input.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|two| &input[two[0]..two[1]]).collect();
        let collect = |pieces: &[&[u8]]| {
            let mut reader = ChunkReader::new(tight);
            let mut all = Vec::new();
            for piece in pieces {
                let mut rest = *piece;
                loop {
                    match reader.read(&mut rest) {
                        Ok(Some(message)) => all.push(Ok(message)),
                        Ok(None) => break,
                        Err(error) => {
                            all.push(Err(error));
                            return all;
                        }
                    }
                    assert!(reader.in_flight_bytes() <= tight.max_in_flight_bytes + tight.max_message_bytes);
                    assert!(reader.partial_messages() <= tight.max_partial_messages);
                }
            }
            all
        };
        prop_assert_eq!(collect(&[&input]), collect(&pieces));
    }
}
