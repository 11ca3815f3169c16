use std::time::Duration;

use proptest::prelude::*;

use super::super::amf0::object;
use super::*;

#[path = "../../tests/support/wire.rs"]
mod wire;

const CONFIG: SessionConfig = SessionConfig {
    handshake_timeout: Duration::from_secs(5),
    publish_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(30),
    chunks: ChunkLimits {
        max_message_bytes: 8 << 20,
        max_in_flight_bytes: 16 << 20,
        max_partial_messages: 32,
        max_chunk_streams: 256,
    },
    amf0: Amf0Limits { max_depth: 16, max_values: 1000, max_string_bytes: 64 << 10 },
};

fn call(stream: u32, values: &[Value]) -> Vec<u8> {
    wire::message(0, 20, stream, &amf0::encode(values))
}

fn connect_to(app: &str) -> Vec<u8> {
    let properties = object([
        ("app", app.into()),
        ("type", "nonprivate".into()),
        ("flashVer", "FMLE/3.0 (compatible; test)".into()),
        ("tcUrl", format!("rtmp://127.0.0.1/{app}").as_str().into()),
    ]);
    call(0, &["connect".into(), 1.0.into(), properties])
}

fn named(name: &str, transaction: f64, argument: Value) -> Vec<u8> {
    call(0, &[name.into(), transaction.into(), Value::Null, argument])
}

fn publish(key: &str) -> Vec<u8> {
    call(1, &["publish".into(), 5.0.into(), Value::Null, key.into(), "live".into()])
}

/// What OBS and ffmpeg say up to `publish`.
fn opening(key: &str) -> Vec<u8> {
    [
        wire::hello(),
        vec![0; 1536],
        connect_to("live"),
        named("releaseStream", 2.0, key.into()),
        named("FCPublish", 3.0, key.into()),
        call(0, &["createStream".into(), 4.0.into(), Value::Null]),
        publish(key),
    ]
    .concat()
}

/// A session, a clock, and what came out.
struct Pair {
    now: Instant,
    session: Session,
    events: Vec<Event>,
    disconnect: Option<Disconnect>,
    /// Message type, stream and payload of what was sent behind the handshake.
    sent: Vec<Message>,
    handshake_left: usize,
    reader: ChunkReader,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn new(config: SessionConfig) -> Self {
        let now = Instant::now();
        Self {
            now,
            session: Session::new(now, config),
            events: Vec::new(),
            disconnect: None,
            sent: Vec::new(),
            handshake_left: 1 + 1536 + 1536,
            reader: ChunkReader::new(ChunkLimits::default()),
        }
    }

    fn publishing() -> Self {
        let mut pair = Self::new(CONFIG);
        pair.input(&opening("studio"));
        pair.answer(Input::Accept(RequestId(0)));
        assert!(pair.session.is_publishing());
        pair.events.clear();
        pair.sent.clear();
        pair
    }

    fn input(&mut self, bytes: &[u8]) {
        self.session.handle_input(self.now, bytes);
        self.drain();
    }

    fn answer(&mut self, input: Input) {
        self.session.handle_command(self.now, input);
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            assert!(self.disconnect.is_none(), "nothing follows a disconnect");
            match output {
                Output::Send(bytes) => {
                    let (handshake, rest) = bytes.split_at(bytes.len().min(self.handshake_left));
                    self.handshake_left -= handshake.len();
                    let mut rest = rest;
                    while let Some(message) = self.reader.read(&mut rest).unwrap() {
                        self.sent.push(message);
                    }
                }
                Output::Event(event) => self.events.push(event),
                Output::Disconnect(reason) => self.disconnect = Some(reason),
            }
        }
    }

    /// Names of the commands that were sent, with the status code if there is one.
    fn commands(&self) -> Vec<String> {
        let commands = self.sent.iter().filter(|m| m.type_id == 20);
        commands
            .map(|m| {
                let command = Command::decode(&m.payload, Amf0Limits::default()).unwrap();
                let code =
                    command.arguments.first().and_then(|info| info.get("code")).and_then(Value::as_str);
                [command.name.as_str(), code.unwrap_or_default()].join(" ").trim_end().to_owned()
            })
            .collect()
    }

    fn last_description(&self) -> String {
        let last = self.sent.iter().rfind(|m| m.type_id == 20).expect("a command was sent");
        let command = Command::decode(&last.payload, Amf0Limits::default()).unwrap();
        command.arguments[0].get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn request(&self) -> Option<&PublishRequest> {
        self.events.iter().find_map(|event| match event {
            Event::PublishRequested { request, .. } => Some(request),
            _ => None,
        })
    }

    fn tags(&self) -> Vec<(TagKind, u32, Vec<u8>)> {
        let tags = self.events.iter().filter_map(|event| match event {
            Event::Tag(tag) => Some((tag.kind, tag.timestamp.0, tag.body.to_vec())),
            _ => None,
        });
        tags.collect()
    }
}

#[test]
fn a_publisher_connects_and_publishes() {
    let mut pair = Pair::new(CONFIG);
    pair.input(&opening("studio?token=1"));
    let request = pair.request().expect("a request").clone();
    assert_eq!((request.app.as_str(), request.key.expose()), ("live", "studio"));
    assert_eq!(request.query.as_ref().map(StreamKey::expose), Some("token=1"));
    assert_eq!(request.encoder.as_deref(), Some("FMLE/3.0 (compatible; test)"));
    assert!(pair.session.is_paused());
    // Media may follow at once; it waits for the answer.
    pair.input(&wire::message(7, 9, 1, wire::AVC_HEADER));
    assert!(pair.tags().is_empty());
    pair.answer(Input::Accept(RequestId(0)));
    assert_eq!(pair.tags(), [(TagKind::Video, 7, wire::AVC_HEADER.to_vec())]);
    let expected = [
        "_result NetConnection.Connect.Success",
        "_result",
        "_result",
        "onFCPublish NetStream.Publish.Start",
        "_result",
        "onStatus NetStream.Publish.Start",
    ];
    assert_eq!(pair.commands(), expected);
    let types: Vec<u8> = pair.sent.iter().map(|m| m.type_id).filter(|t| *t != 20).collect();
    assert_eq!(types, [5, 6, 4, 4], "window, bandwidth, two stream begins (the reader obeys the chunk size)");
}

#[test]
fn connect_is_answered_with_what_enhanced_rtmp_may_send() {
    let mut pair = Pair::new(CONFIG);
    pair.input(&opening("studio"));
    let result = pair.sent.iter().find(|m| m.type_id == 20).expect("the answer");
    let command = Command::decode(&result.payload, Amf0Limits::default()).unwrap();
    for place in [&command.object, &command.arguments[0]] {
        let fourccs = Value::StrictArray(vec!["avc1".into(), "mp4a".into()]);
        assert_eq!(place.get("fourCcList"), Some(&fourccs));
        assert_eq!(place.get("videoFourCcInfoMap"), Some(&object([("avc1", 4.0.into())])));
        assert_eq!(place.get("audioFourCcInfoMap"), Some(&object([("mp4a", 4.0.into())])));
        assert_eq!(place.get("capsEx"), Some(&Value::Number(0.0)));
    }
}

#[test]
fn every_command_that_encoders_send_is_answered() {
    let mut pair = Pair::publishing();
    for (name, expected) in [
        ("getStreamLength", vec!["_result"]),
        ("_checkbw", vec!["_result"]),
        ("releaseStream", vec!["_result"]),
        ("somethingNew", vec!["_error NetConnection.Call.Failed"]),
        (
            "FCUnpublish",
            vec![
                "onStatus NetStream.Unpublish.Success",
                "_result",
                "onFCUnpublish NetStream.Unpublish.Success",
            ],
        ),
        ("deleteStream", vec!["_result"]),
        ("closeStream", vec!["_result"]),
    ] {
        pair.sent.clear();
        pair.input(&named(name, 9.0, "studio".into()));
        assert_eq!(pair.commands(), expected, "{name}");
    }
    assert_eq!(pair.events, [Event::Unpublished]);
    // Media that was under way is let pass, and the connection may publish again.
    pair.input(&wire::message(9, 9, 1, wire::AVC_INTER));
    pair.input(&publish("studio"));
    assert!(pair.session.is_paused() && pair.disconnect.is_none());
}

#[test]
fn a_refusal_is_a_status_that_obs_shows_then_the_end() {
    let mut pair = Pair::new(CONFIG);
    pair.input(&opening("wrong"));
    pair.sent.clear();
    pair.answer(Input::Refuse { id: RequestId(0), sentence: "No such key.".into() });
    assert_eq!(pair.commands(), ["onStatus NetStream.Publish.Denied"]);
    assert_eq!(pair.last_description(), "No such key.");
    assert_eq!(pair.sent[0].message_stream_id, 1);
    assert!(matches!(pair.disconnect, Some(Disconnect::Closed { .. })));
    pair.input(&publish("again"));
    pair.wait(Duration::from_secs(100));
    assert_eq!(pair.session.poll_timeout(), None);
}

#[test]
fn a_wrong_application_is_told_to_both_kinds_of_encoders() {
    let mut pair = Pair::new(CONFIG);
    pair.input(&[wire::hello(), vec![0; 1536], connect_to("show")].concat());
    let code = "NetConnection.Connect.InvalidApp";
    assert_eq!(pair.commands(), [format!("_error {code}"), format!("onStatus {code}")]);
    assert!(pair.last_description().contains("/live"));
    assert_eq!(pair.disconnect, Some(Disconnect::InvalidApp));
}

#[test]
fn what_comes_out_of_order_is_told_and_cut() {
    let connected = || [wire::hello(), vec![0; 1536], connect_to("live")].concat();
    let unconnected = || [wire::hello(), vec![0; 1536]].concat();
    let table = [
        ("publish", [unconnected(), publish("studio")].concat()),
        ("createStream", [unconnected(), named("createStream", 2.0, Value::Null)].concat()),
        ("connect", [connected(), connect_to("live")].concat()),
        ("Media", [connected(), wire::message(0, 9, 1, wire::AVC_HEADER)].concat()),
    ];
    for (expected, input) in table {
        let mut pair = Pair::new(CONFIG);
        pair.input(&input);
        assert_eq!(
            pair.commands().last().map(String::as_str),
            Some("onStatus NetStream.Failed"),
            "{expected}"
        );
        let Some(Disconnect::OutOfOrder { what, .. }) = pair.disconnect else { panic!("{expected}") };
        assert_eq!(what, expected);
    }
    let mut pair = Pair::publishing();
    pair.input(&publish("other"));
    assert!(matches!(pair.disconnect, Some(Disconnect::OutOfOrder { what: "publish", .. })));
    let mut pair = Pair::new(CONFIG);
    pair.input(&[connected(), named("play", 0.0, "studio".into())].concat());
    assert_eq!(pair.commands().last().map(String::as_str), Some("onStatus NetStream.Play.Failed"));
    assert_eq!(pair.disconnect, Some(Disconnect::Play));
}

#[test]
fn broken_commands_and_chunks_are_told_and_cut() {
    let begin = || [wire::hello(), vec![0; 1536], connect_to("live")].concat();
    let nested: Vec<u8> =
        [&amf0::encode(&["x".into(), 1.0.into()])[..], &[3, 0, 1, b'a'].repeat(4000)].concat();
    let set_chunk_size = |size: u32| wire::message(0, 1, 0, &size.to_be_bytes());
    let announced = {
        let mut header = wire::message(0, 9, 1, &[0]);
        header.truncate(header.len() - 1);
        header[4..7].copy_from_slice(&[0xff, 0xff, 0xff]);
        header
    };
    for (what, input) in [
        ("nested", wire::message(0, 20, 0, &nested)),
        ("no name", wire::message(0, 20, 0, &[5])),
        ("empty", wire::message(0, 20, 0, &[])),
        ("amf3", wire::message(0, 17, 0, &[3, 2])),
        ("chunk size 0", set_chunk_size(0)),
        ("announced 16 MB", announced),
    ] {
        let mut pair = Pair::new(CONFIG);
        pair.input(&[begin(), input].concat());
        assert!(matches!(pair.disconnect, Some(Disconnect::Command(_) | Disconnect::Chunk(_))), "{what}");
        assert!(pair.commands().last().expect("a status").starts_with("onStatus"), "{what}");
    }
    let mut pair = Pair::new(CONFIG);
    pair.input(b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(pair.disconnect, Some(Disconnect::Handshake(HandshakeError::Version { found: b'G' }))));
    assert!(pair.sent.is_empty());
}

#[test]
fn metadata_becomes_a_script_tag_without_set_data_frame() {
    let mut pair = Pair::publishing();
    let properties = object([("encoder", "obs-output module (libobs version 29.0.2)".into())]);
    let plain = amf0::encode(&["onMetaData".into(), properties.clone()]);
    let wrapped = amf0::encode(&["@setDataFrame".into(), "onMetaData".into(), properties]);
    let amf3 = [&[0], wrapped.as_slice()].concat();
    let deep = [&amf0::encode(&["onMetaData".into()])[..], &[3, 0, 1, b'a'].repeat(4000)].concat();
    pair.input(&wire::message(0, 18, 1, &wrapped));
    pair.input(&wire::message(0, 18, 1, &plain));
    pair.input(&wire::message(0, 15, 1, &amf3));
    pair.input(&wire::message(0, 18, 1, &amf0::encode(&["@clearDataFrame".into(), "onMetaData".into()])));
    assert_eq!(pair.tags(), vec![(TagKind::Script, 0, plain); 3]);
    assert!(pair.events.contains(&Event::Encoder("obs-output module (libobs version 29.0.2)".into())));
    pair.events.clear();
    pair.input(&wire::message(0, 18, 1, &deep));
    assert!(matches!(pair.events[..], [Event::DataSkipped(CommandError::Amf0(_))]));
    assert_eq!(pair.disconnect, None, "metadata is never worth a broadcast");
}

#[test]
fn pings_go_both_ways() {
    let mut pair = Pair::publishing();
    pair.input(&wire::message(0, 4, 0, &[0, 6, 1, 2, 3, 4]));
    assert_eq!(pair.sent.pop().map(|m| m.payload.to_vec()), Some(vec![0, 7, 1, 2, 3, 4]));
    pair.input(&wire::message(0, 4, 0, &[0]));
    pair.wait(Duration::from_secs(15));
    assert_eq!(pair.sent.pop().map(|m| m.payload.to_vec()), Some(vec![0, 6, 0, 0, 0, 0]));
    // An answer alone is no publishing.
    pair.input(&wire::message(0, 4, 0, &[0, 7, 0, 0, 0, 0]));
    pair.wait(Duration::from_secs(14));
    assert_eq!(pair.disconnect, None);
    pair.wait(Duration::from_secs(1));
    assert!(matches!(pair.disconnect, Some(Disconnect::IdleTimeout { .. })));
}

#[test]
fn acknowledgements_carry_running_totals() {
    let mut pair = Pair::publishing();
    pair.input(&wire::message(0, 5, 0, &1000u32.to_be_bytes()));
    let frame = wire::message(0, 9, 1, &[0x27; 600]);
    let mut totals = Vec::new();
    for _ in 0..10 {
        pair.input(&frame);
        let acknowledgements = pair.sent.drain(..).filter(|m| m.type_id == 3);
        totals.extend(acknowledgements.map(|m| u32::from_be_bytes(*m.payload.first_chunk().unwrap())));
    }
    let begun = u32::try_from(opening("studio").len()).unwrap();
    assert!(totals.len() >= 5 && totals[0] > begun, "{totals:?}");
    assert!(totals.windows(2).all(|two| two[1] >= two[0] + 1000), "{totals:?}");
}

#[test]
fn each_stage_has_its_time() {
    let cases: [(&str, Vec<u8>, f64); 4] = [
        ("handshake", vec![], 5.0),
        ("handshake", wire::hello(), 5.0),
        ("publish", [wire::hello(), vec![0; 1536], connect_to("live")].concat(), 10.0),
        ("publish", opening("studio"), 10.0),
    ];
    for (what, input, seconds) in cases {
        let mut pair = Pair::new(CONFIG);
        pair.input(&input);
        pair.wait(Duration::from_secs_f64(seconds - 0.01));
        assert_eq!(pair.disconnect, None, "{what}");
        pair.wait(Duration::from_millis(20));
        assert!(pair.disconnect.expect(what).label().starts_with(what));
    }
    let mut pair = Pair::publishing();
    for _ in 0..100 {
        pair.wait(Duration::from_secs(29));
        pair.input(&wire::message(0, 8, 1, wire::AAC_FRAME));
    }
    assert_eq!(pair.disconnect, None, "one frame in 29 s is a publisher");
}

#[test]
fn the_debug_form_shows_no_key() {
    let mut pair = Pair::new(CONFIG);
    pair.input(
        &[wire::hello(), vec![0; 1536], connect_to("live/s3cret?q=s3cret"), publish("s3cret")].concat(),
    );
    assert!(!format!("{:?} {:?}", pair.session, pair.events).contains("s3cret"));
}

proptest! {
    #[test]
    fn any_split_of_a_publish_gives_the_same_outputs(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        frames in prop::collection::vec((any::<u32>(), 0usize..500), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut input = opening("studio");
        for (time, length) in frames {
            input.extend(wire::message(time, 9, 1, &vec![0x27; length]));
        }
        input.extend(noise);
        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(input.len() + 1)).collect();
        at.extend([0, input.len()]);
        at.sort_unstable();
        let run = |at: &[usize]| {
            let mut pair = Pair::new(CONFIG);
            for two in at.windows(2) {
                pair.input(&input[two[0]..two[1]]);
                assert!(pair.session.buffered_bytes() <= (16 << 20) + MAX_PENDING_INPUT);
                if pair.session.is_paused() {
                    pair.answer(Input::Accept(RequestId(0)));
                }
            }
            (pair.events, pair.disconnect, pair.sent.into_iter().filter(|m| m.type_id != 3).collect::<Vec<_>>())
        };
        prop_assert_eq!(run(&[0, input.len()]), run(&at));
    }
}
