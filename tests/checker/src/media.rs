//! Init segments and parts: reading them with `mp4-atom`, and the rules they must obey.

use std::collections::HashMap;
use std::time::Duration;

use mp4_atom::{Atom, Codec, Decode, DecodeAtom, Ftyp, Header, Moof, Moov};

use crate::rule::{Findings, Rule};

/// Rounding of printed part durations.
const DURATION_TOLERANCE: Duration = Duration::from_millis(1);
/// Where a part of a rendition with video holds only sound, its duration is that of the timeline, which the sound
/// meets within a frame (1,024 samples at 44.1 kHz).
const SOUND_ALONE_TOLERANCE: Duration = Duration::from_millis(24);
/// After a start or a discontinuity a track may begin this much later than the part does.
const LATE_TRACK: Duration = Duration::from_millis(500);

/// What an init segment declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Init {
    /// The tracks, video first if there is one.
    pub tracks: Vec<Track>,
}

/// One track of an init segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Track id.
    pub id: u32,
    /// Ticks per second.
    pub timescale: u32,
    /// Width and height; `None` for audio.
    pub picture: Option<(u16, u16)>,
    /// First characters of the RFC 6381 string: `avc1.64001f`, `mp4a.40.2`.
    pub codec: String,
    /// `trex` defaults.
    pub default_duration: u32,
    /// `trex` defaults.
    pub default_size: u32,
    /// `trex` defaults.
    pub default_flags: u32,
}

/// One `moof` + `mdat`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// `mfhd` sequence number.
    pub sequence: u32,
    /// Per track.
    pub runs: Vec<Run>,
}

/// The samples of one track in a fragment.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Track id.
    pub track: u32,
    /// `tfdt`, ticks.
    pub decode_time: u64,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Ticks.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// `sample_is_non_sync_sample` is 0.
    pub sync: bool,
    /// `sample_depends_on` and `sample_is_non_sync_sample` contradict each other.
    pub contradictory: bool,
}

const NON_SYNC: u32 = 0x0001_0000;
const DEPENDS_ON_OTHERS: u32 = 1;
const DEPENDS_ON_NOTHING: u32 = 2;

/// Parses an init segment.
///
/// # Errors
/// A sentence that names the box.
pub fn parse_init(mut bytes: &[u8]) -> Result<Init, String> {
    let mut moov: Option<Moov> = None;
    let mut ftyp = false;
    while !bytes.is_empty() {
        let header = Header::decode(&mut bytes).map_err(|e| format!("box header: {e}"))?;
        let size = header.size.ok_or("a box without size")?;
        let body = bytes.get(..size).ok_or_else(|| format!("{} is cut short", header.kind))?;
        if header.kind == Ftyp::KIND {
            ftyp = true;
        } else if header.kind == Moov::KIND {
            moov = Some(Moov::decode_atom(&header, &mut &*body).map_err(|e| format!("moov: {e}"))?);
        } else {
            return Err(format!("{} in an init segment", header.kind));
        }
        bytes = &bytes[size..];
    }
    let moov = moov.ok_or("no moov")?;
    if !ftyp {
        return Err("no ftyp".to_owned());
    }
    let mvex = moov.mvex.as_ref().ok_or("no mvex")?;
    let mut tracks = Vec::new();
    for trak in &moov.trak {
        let id = trak.tkhd.track_id;
        let trex = mvex.trex.iter().find(|t| t.track_id == id).ok_or(format!("track {id} has no trex"))?;
        let entry =
            trak.mdia.minf.stbl.stsd.codecs.first().ok_or(format!("track {id} has no sample entry"))?;
        let (codec, picture) = match entry {
            Codec::Avc1(avc1) => {
                let c = &avc1.avcc;
                let (profile, level) = (c.avc_profile_indication, c.avc_level_indication);
                let codec = format!("avc1.{profile:02x}{:02x}{level:02x}", c.profile_compatibility);
                (codec, Some((avc1.visual.width, avc1.visual.height)))
            }
            Codec::Mp4a(mp4a) => {
                let config = &mp4a.esds.es_desc.dec_config;
                let profile = config.dec_specific.as_ref().map_or(0, |s| s.profile);
                (format!("mp4a.{:02x}.{profile}", config.object_type_indication), None)
            }
            other => return Err(format!("track {id}: sample entry {other:?}")),
        };
        if trak.mdia.mdhd.timescale == 0 {
            return Err(format!("track {id} has timescale 0"));
        }
        tracks.push(Track {
            id,
            timescale: trak.mdia.mdhd.timescale,
            picture,
            codec,
            default_duration: trex.default_sample_duration,
            default_size: trex.default_sample_size,
            default_flags: trex.default_sample_flags,
        });
    }
    if tracks.is_empty() {
        return Err("no tracks".to_owned());
    }
    tracks.sort_by_key(|t| t.picture.is_none());
    Ok(Init { tracks })
}

/// Parses the fragments of a part or segment, every byte of it.
///
/// # Errors
/// A sentence that names the box and the numbers.
pub fn parse_fragments(init: &Init, bytes: &[u8]) -> Result<Vec<Fragment>, String> {
    let mut fragments = Vec::new();
    let mut at = 0;
    // A moof waiting for its mdat, with the offset of its first byte.
    let mut waiting: Option<(usize, Moof)> = None;
    while at < bytes.len() {
        let start = at;
        let mut rest = &bytes[at..];
        let before = rest.len();
        let header = Header::decode(&mut rest).map_err(|e| format!("box header at byte {at}: {e}"))?;
        let size = header.size.ok_or("a box without size")?;
        let body = rest.get(..size).ok_or_else(|| format!("{} at byte {at} is cut short", header.kind))?;
        at += before - rest.len() + size;
        let name = header.kind.to_string();
        match name.as_str() {
            "moof" => {
                if waiting.is_some() {
                    return Err(format!("moof at byte {start} while the one before has no mdat"));
                }
                let moof = Moof::decode_atom(&header, &mut &*body).map_err(|e| format!("moof: {e}"))?;
                waiting = Some((start, moof));
            }
            "mdat" => {
                let (moof_at, moof) = waiting.take().ok_or(format!("mdat at byte {start} without moof"))?;
                fragments.push(fragment(init, &moof, moof_at, at - size..at)?);
            }
            "styp" | "prft" | "sidx" | "emsg" | "free" => {}
            _ => return Err(format!("{name} in a media segment")),
        }
    }
    match waiting {
        Some((start, _)) => Err(format!("moof at byte {start} has no mdat")),
        None if fragments.is_empty() => Err("no fragment".to_owned()),
        None => Ok(fragments),
    }
}

fn fragment(
    init: &Init,
    moof: &Moof,
    moof_at: usize,
    mdat: std::ops::Range<usize>,
) -> Result<Fragment, String> {
    let mut runs = Vec::new();
    let mut covered = 0usize;
    for traf in &moof.traf {
        let id = traf.tfhd.track_id;
        let track = init.tracks.iter().find(|t| t.id == id).ok_or(format!("traf of unknown track {id}"))?;
        if traf.tfhd.base_data_offset.is_some() || !traf.tfhd.default_base_is_moof {
            return Err(format!("track {id}: default-base-is-moof is not set"));
        }
        let decode_time = traf.tfdt.as_ref().ok_or(format!("track {id} has no tfdt"))?.base_media_decode_time;
        let duration = traf.tfhd.default_sample_duration.unwrap_or(track.default_duration);
        let size = traf.tfhd.default_sample_size.unwrap_or(track.default_size);
        let flags = traf.tfhd.default_sample_flags.unwrap_or(track.default_flags);
        let mut samples = Vec::new();
        for trun in &traf.trun {
            let offset = trun.data_offset.ok_or(format!("track {id}: trun without data offset"))?;
            let start = usize::try_from(offset).ok().and_then(|o| moof_at.checked_add(o));
            let start = start.ok_or(format!("track {id}: data offset {offset}"))?;
            let from = samples.len();
            samples.extend(trun.samples.iter().map(|entry| {
                let flags = entry.flags.unwrap_or(flags);
                let sync = flags & NON_SYNC == 0;
                let depends = flags >> 24 & 3;
                let contradictory =
                    sync && depends == DEPENDS_ON_OTHERS || !sync && depends == DEPENDS_ON_NOTHING;
                Sample {
                    duration: entry.duration.unwrap_or(duration),
                    size: entry.size.unwrap_or(size),
                    sync,
                    contradictory,
                }
            }));
            let length: usize = samples[from..].iter().map(|s| s.size as usize).sum();
            if start < mdat.start || start + length > mdat.end {
                return Err(format!("track {id}: samples {start}+{length} outside mdat {mdat:?}"));
            }
            covered += length;
        }
        if let Some(bad) = samples.iter().position(|s| s.duration == 0 || s.size == 0) {
            return Err(format!("track {id}: sample {bad} is {:?}", samples[bad]));
        }
        runs.push(Run { track: id, decode_time, samples });
    }
    if covered != mdat.len() {
        return Err(format!("the samples cover {covered} of {} bytes of mdat", mdat.len()));
    }
    Ok(Fragment { sequence: moof.mfhd.sequence_number, runs })
}

/// What the playlist says of a part.
#[derive(Debug, Clone)]
pub struct PartClaim {
    /// For the findings: `segment 7 part 2`.
    pub name: String,
    /// `DURATION`; `None` for a whole segment whose parts are not known.
    pub duration: Option<Duration>,
    /// `INDEPENDENT=YES`; `None` for a whole segment.
    pub independent: Option<bool>,
}

/// Follows one rendition's media.
#[derive(Debug, Default)]
pub struct MediaHistory {
    init: Option<Init>,
    sequence: Option<u32>,
    /// Track id -> decode time expected next; empty after a discontinuity.
    next: HashMap<u32, u64>,
    /// Samples seen per kind: video, audio.
    pub video_samples: u64,
    /// Samples of the audio track.
    pub audio_samples: u64,
}

impl MediaHistory {
    /// The init segment in force.
    #[must_use]
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }

    /// A new init segment is in force from here on.
    pub fn set_init(&mut self, bytes: &[u8], findings: &mut Findings) {
        match parse_init(bytes) {
            Ok(init) => self.init = Some(init),
            Err(detail) => findings.add(Rule::Mp4, format!("init segment: {detail}")),
        }
        self.next.clear();
    }

    /// A discontinuity or a gap: decode times may move.
    pub fn discontinuity(&mut self) {
        self.next.clear();
    }

    /// Checks one part (or a whole segment whose parts were not seen).
    pub fn check(&mut self, claim: &PartClaim, bytes: &[u8], findings: &mut Findings) {
        let Some(init) = &self.init else {
            findings.add(Rule::MapMissing, format!("{}: no init segment could be read", claim.name));
            return;
        };
        let name = &claim.name;
        let fragments = match parse_fragments(init, bytes) {
            Ok(fragments) => fragments,
            Err(detail) => return findings.add(Rule::Mp4, format!("{name}: {detail}")),
        };
        // The first track that has samples tells the time; video comes first.
        let mut lasted: HashMap<u32, Duration> = HashMap::new();
        let mut first_picture = true;
        let begins = self.next.is_empty();
        for fragment in &fragments {
            if self.sequence.is_some_and(|before| fragment.sequence <= before) {
                let detail = format!("{name}: {} after {:?}", fragment.sequence, self.sequence);
                findings.add(Rule::MoofSequence, detail);
            }
            self.sequence = Some(fragment.sequence);
            for run in &fragment.runs {
                let Some(track) = init.tracks.iter().find(|t| t.id == run.track) else { continue };
                let ticks: u64 = run.samples.iter().map(|s| u64::from(s.duration)).sum();
                if let Some(expected) = self.next.insert(run.track, run.decode_time + ticks)
                    && expected != run.decode_time
                {
                    let detail = format!(
                        "{name}: track {} ended at {expected}, goes on at {} (timescale {})",
                        run.track, run.decode_time, track.timescale
                    );
                    findings.add(Rule::TfdtContinuity, detail);
                }
                *lasted.entry(run.track).or_default() += seconds(ticks, track.timescale);
                if run.samples.iter().any(|s| s.contradictory) {
                    findings
                        .add(Rule::SampleFlags, format!("{name}: track {} contradicts itself", run.track));
                }
                if track.picture.is_none() {
                    self.audio_samples += run.samples.len() as u64;
                    continue;
                }
                self.video_samples += run.samples.len() as u64;
                for sample in &run.samples {
                    if let Some(claimed) = claim.independent
                        && (first_picture && sample.sync != claimed || !first_picture && sample.sync)
                    {
                        let place = if first_picture { "first" } else { "later" };
                        let detail =
                            format!("{name}: {place} sample sync={}, INDEPENDENT={claimed}", sample.sync);
                        findings.add(Rule::IndependentFlag, detail);
                    }
                    first_picture = false;
                }
            }
        }
        let has_video_track = init.tracks.iter().any(|t| t.picture.is_some());
        if !has_video_track && claim.independent == Some(false) {
            findings.add(Rule::IndependentFlag, format!("{name}: audio alone is always independent"));
        }
        let timing = init.tracks.iter().enumerate().find_map(|(i, t)| Some((i, *lasted.get(&t.id)?)));
        if let (Some(claimed), Some((track, real))) = (claim.duration, timing) {
            let tolerance = if track == 0 { DURATION_TOLERANCE } else { SOUND_ALONE_TOLERANCE };
            let late = begins && real < claimed && claimed - real <= LATE_TRACK;
            if claimed.abs_diff(real) > tolerance && !late {
                findings
                    .add(Rule::PartDuration, format!("{name}: DURATION {claimed:?}, samples last {real:?}"));
            }
        }
    }
}

/// Ticks as a duration, rounded to nanoseconds.
fn seconds(ticks: u64, timescale: u32) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(timescale);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Encode, Mdat, Mfhd, Tfdt, Tfhd, Traf, Trun, TrunEntry};

    use super::*;

    fn init() -> Init {
        let track = |id, timescale, picture| Track {
            id,
            timescale,
            picture,
            codec: String::new(),
            default_duration: 0,
            default_size: 0,
            default_flags: 0,
        };
        Init { tracks: vec![track(1, 90_000, Some((640, 360))), track(2, 48_000, None)] }
    }

    /// A fragment of `samples` video samples of 3,000 ticks and 10 bytes, and one of audio.
    fn moof(sequence: u32, decode_time: u64, samples: usize, independent: bool) -> Moof {
        let entry = |first: bool| TrunEntry {
            duration: Some(3000),
            size: Some(10),
            flags: Some(if first && independent { 0x0200_0000 } else { 0x0101_0000 }),
            cts: Some(0),
        };
        let tfhd = |track_id| Tfhd { track_id, default_base_is_moof: true, ..Tfhd::default() };
        let video = Traf {
            tfhd: tfhd(1),
            tfdt: Some(Tfdt { base_media_decode_time: decode_time }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: (0..samples).map(|i| entry(i == 0)).collect::<Vec<_>>().into(),
            }],
            ..Traf::default()
        };
        let sound = TrunEntry { duration: Some(1024), size: Some(4), flags: Some(0x0200_0000), cts: None };
        let audio = Traf {
            tfhd: tfhd(2),
            tfdt: Some(Tfdt { base_media_decode_time: u64::from(sequence - 1) * 1024 }),
            trun: vec![Trun { data_offset: Some(0), samples: vec![sound].into() }],
            ..Traf::default()
        };
        Moof { mfhd: Mfhd { sequence_number: sequence }, traf: vec![video, audio] }
    }

    fn bytes(mut moof: Moof) -> Vec<u8> {
        let mut sized = Vec::new();
        moof.encode(&mut sized).unwrap();
        let mut offset = sized.len() + 8;
        let mut payload = 0;
        for traf in &mut moof.traf {
            for trun in &mut traf.trun {
                trun.data_offset = Some(offset as i32);
                let length: usize = trun.samples.iter().map(|s| s.size.unwrap() as usize).sum();
                offset += length;
                payload += length;
            }
        }
        let mut out = Vec::new();
        moof.encode(&mut out).unwrap();
        Mdat { data: vec![0; payload] }.encode(&mut out).unwrap();
        out
    }

    fn claim(millis: u64, independent: bool) -> PartClaim {
        let duration = Some(Duration::from_millis(millis));
        PartClaim { name: "part".into(), duration, independent: Some(independent) }
    }

    /// Two good parts, the second changed by `change`; the rules that are found.
    fn found(change: impl FnOnce(&mut Moof, &mut PartClaim)) -> Vec<Rule> {
        let mut history = MediaHistory { init: Some(init()), ..MediaHistory::default() };
        let mut findings = Findings::new("main");
        history.check(&claim(333, true), &bytes(moof(1, 900_000, 10, true)), &mut findings);
        assert_eq!(findings.as_slice(), [], "the first part is good");
        let (mut second, mut says) = (moof(2, 930_000, 10, false), claim(333, false));
        change(&mut second, &mut says);
        history.check(&says, &bytes(second), &mut findings);
        findings.as_slice().iter().map(|f| f.rule).collect()
    }

    fn video(moof: &mut Moof, change: impl Fn(usize, &mut TrunEntry)) {
        let mut entries: Vec<_> = moof.traf[0].trun[0].samples.iter().collect();
        entries.iter_mut().enumerate().for_each(|(i, e)| change(i, e));
        moof.traf[0].trun[0].samples = entries.into();
    }

    #[test]
    fn good_parts_pass_and_each_fault_is_its_own_finding() {
        assert_eq!(found(|_, _| {}), []);
        assert_eq!(found(|m, _| m.mfhd.sequence_number = 1), [Rule::MoofSequence]);
        assert_eq!(
            found(|m, _| m.traf[0].tfdt = Some(Tfdt { base_media_decode_time: 930_001 })),
            [Rule::TfdtContinuity]
        );
        assert_eq!(
            found(|m, _| m.traf[1].tfdt = Some(Tfdt { base_media_decode_time: 1000 })),
            [Rule::TfdtContinuity]
        );
        assert_eq!(found(|_, c| c.duration = Some(Duration::from_millis(300))), [Rule::PartDuration]);
        assert_eq!(found(|_, c| c.independent = Some(true)), [Rule::IndependentFlag]);
        assert_eq!(
            found(|m, _| video(m, |i, e| {
                if i == 5 {
                    e.flags = Some(0x0200_0000);
                }
            })),
            [Rule::IndependentFlag]
        );
        assert_eq!(
            found(|m, _| video(m, |i, e| {
                if i == 5 {
                    e.flags = Some(0x0201_0000);
                }
            })),
            [Rule::SampleFlags]
        );
        assert_eq!(found(|m, _| m.traf[0].tfhd.default_base_is_moof = false), [Rule::Mp4]);
        assert_eq!(found(|m, _| m.traf[0].tfdt = None), [Rule::Mp4]);
        assert_eq!(found(|m, _| m.traf[1].tfhd.track_id = 3), [Rule::Mp4]);
        assert_eq!(
            found(|m, _| video(m, |i, e| {
                if i == 2 {
                    e.size = Some(0);
                }
            })),
            [Rule::Mp4]
        );
    }

    #[test]
    fn damaged_bytes_are_findings_and_never_panics() {
        let good = bytes(moof(1, 0, 3, true));
        for cut in 0..good.len() {
            assert!(parse_fragments(&init(), &good[..cut]).is_err(), "cut at {cut}");
        }
        let mut trailing = good.clone();
        trailing.extend([0, 0, 0, 8, b'j', b'u', b'n', b'k']);
        assert!(parse_fragments(&init(), &trailing).is_err());
        for index in 0..good.len() {
            let mut flipped = good.clone();
            flipped[index] ^= 0xff;
            let _ = parse_fragments(&init(), &flipped);
        }
    }
}
