//! What a viewer's URL can do to the origin.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use millrace_hls_packager::model::{Opened, Output, Part, RenditionId, RenditionInfo, SegmentStarted};
use millrace_hls_packager::origin::MediaName;
use millrace_hls_packager::playlist::{Directives, MediaPlaylist};
use millrace_hls_packager::window::{
    BadDirective, Cache, Form, Found, Request, Snapshot, Window, WindowConfig, WindowStart,
};

const FIRST_MSN: u64 = 1000;
const PARTS_PER_SEGMENT: u32 = 4;

/// Takes any bytes as the query of a playlist request and as a file name, and puts both to a rendition in several
/// stages of a broadcast.
///
/// # Panics
/// When an answer breaks a rule: RFC 8216bis §6.2.5.2 for playlists; only listed or retained media is handed out.
pub fn hls_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(directives) = Directives::parse(&text) {
        assert_eq!(Directives::parse(&written(&directives)), Ok(directives));
        for snapshot in stages() {
            check_playlist(snapshot, directives);
        }
    }
    if let Some(name) = MediaName::parse(&text) {
        for snapshot in stages() {
            match (name.request, snapshot.find(&name.request)) {
                (_, Found::Body(chunks)) => assert!(chunks.iter().all(|chunk| !chunk.is_empty())),
                (Request::Part(number), Found::NotYet) => {
                    assert!(text_of(snapshot, Form::Full).contains(&format!("-p{number}.m4s\"")))
                }
                (_, found) => assert_eq!(found, Found::Gone),
            }
        }
    }
}

fn written(directives: &Directives) -> String {
    let msn = directives.msn.map(|msn| format!("_HLS_msn={msn}&")).unwrap_or_default();
    let part = directives.part.map(|part| format!("_HLS_part={part}&")).unwrap_or_default();
    let skip = if directives.skip { "_HLS_skip=YES" } else { "" };
    format!("{msn}{part}{skip}")
}

fn check_playlist(snapshot: &Snapshot, directives: Directives) {
    let found = snapshot.find(&Request::Playlist(directives));
    let full = text_of(snapshot, Form::Full);
    let (last, parts) = live_edge(&full);
    match found {
        Found::Playlist { form, .. } if snapshot.is_ended() => assert_eq!(form, Form::Full),
        Found::Playlist { form, cache } => {
            assert!(form == Form::Full || directives.skip);
            assert!(directives.part.is_none() || directives.msn.is_some());
            let Some(msn) = directives.msn else { return assert_eq!(cache, Cache::Newest) };
            match directives.part {
                None => assert!(msn <= last),
                Some(part) => assert!(msn <= last || (msn == last + 1 && part < parts)),
            }
            if form == Form::Delta {
                // The player has the segment before the one it asks for; what is skipped must not be newer.
                let delta = text_of(snapshot, Form::Delta);
                let listed =
                    delta.split("-s").nth(1).and_then(|rest| rest.split('.').next()).map(str::parse::<u64>);
                assert!(listed.is_some_and(|first| first.is_ok_and(|first| first <= msn)));
            }
        }
        Found::NotYet if snapshot.is_playable() => {
            let msn = directives.msn.expect("only a blocking request waits");
            assert!(!snapshot.is_ended() && msn <= last + 2 && msn + 1 >= last);
        }
        Found::NotYet => {}
        Found::BadRequest(BadDirective::PartWithoutMsn) => assert!(directives.msn.is_none()),
        Found::BadRequest(BadDirective::MsnTooFar { msn, .. }) => assert!(msn > last + 2),
        Found::BadRequest(BadDirective::PartTooFar { ahead, limit }) => {
            assert!(ahead > limit && directives.msn.is_some_and(|msn| msn > last));
        }
        found => panic!("{found:?} is no answer to {directives:?}"),
    }
}

/// The last complete segment of a playlist, and how many parts of the next one it lists.
fn live_edge(playlist: &str) -> (u64, u64) {
    playlist.lines().fold((0, 0), |(last, parts), line| {
        let segment = line.strip_prefix("fuzz-s").and_then(|rest| rest.split('.').next());
        match segment.and_then(|number| number.parse().ok()) {
            Some(number) => (number, 0),
            None => (last, parts + u64::from(line.starts_with("#EXT-X-PART:"))),
        }
    })
}

fn text_of(snapshot: &Snapshot, form: Form) -> String {
    MediaPlaylist::new(snapshot, form).to_string()
}

/// Nothing yet, the first part, the middle, a segment that ended just now, a gap, the end.
fn stages() -> &'static [Snapshot] {
    static STAGES: OnceLock<Vec<Snapshot>> = OnceLock::new();
    STAGES.get_or_init(|| {
        let config = WindowConfig { window: None, memory_cap_bytes: u64::MAX };
        let mut window = Window::new(config, WindowStart { prefix: "fuzz".into(), first_msn: FIRST_MSN });
        let info = RenditionInfo {
            name: "main",
            part_target: Duration::from_millis(500),
            codecs: vec!["avc1.64001f".into()],
            resolution: None,
            frame_rate: None,
            nominal: None,
            listed: true,
        };
        let mut stages = Vec::new();
        let mut apply = |output, keep: bool| {
            window.apply(output).expect("the outputs are in order");
            if keep {
                stages.extend(window.snapshot(RenditionId(0)));
            }
        };
        apply(Output::Opened(Opened { target_duration: 2, renditions: vec![info], rungs: 0 }), true);
        for number in 0..20 {
            let gap = number == 18;
            let started = SegmentStarted {
                program_date_time: "2026-11-21T03:00:00Z".parse().expect("a timestamp"),
                discontinuity: number == 19,
                gap,
                init: vec![(number == 0).then(|| Bytes::from_static(b"init"))],
            };
            apply(Output::SegmentStarted(started), number == 10);
            for index in 0..PARTS_PER_SEGMENT {
                let part = Part {
                    rendition: RenditionId(0),
                    duration: Duration::from_millis(500),
                    independent: index == 0,
                    body: if gap { Bytes::new() } else { Bytes::from_static(b"part") },
                    arrived: None,
                    shared: false,
                };
                apply(
                    Output::Part(part),
                    (number, index) == (0, 0) || number == 18 || (number, index) == (12, 2),
                );
            }
            apply(Output::SegmentEnded, number == 13);
        }
        apply(Output::Ended, true);
        stages
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_near_the_live_edge_keeps_the_rules() {
        for msn in (FIRST_MSN - 2..FIRST_MSN + 30).map(Some).chain([None, Some(0), Some(u64::MAX)]) {
            for part in (0..12).map(Some).chain([None, Some(u64::MAX)]) {
                for skip in [false, true] {
                    hls_query(written(&Directives { msn, part, skip }).as_bytes());
                }
            }
        }
    }
}
