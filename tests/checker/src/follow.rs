//! Shell: follows one media playlist as a low-latency player does, and feeds what comes to the rules.
#![expect(clippy::disallowed_methods, reason = "shell: sends requests, reads the clock, starts tasks")]

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, Url};
use tokio::task::JoinHandle;

use crate::across::{RenditionFacts, ReportFact};
use crate::exchange::{self, EntityTags, Exchange, Resource, check_line_speed, check_problem};
use crate::fetch::Fetcher;
use crate::history::{Bounds, History};
use crate::media::{Init, MediaHistory, PartClaim};
use crate::playlist::{self, MediaPlaylist, Position, Segment};
use crate::report::RenditionReport;
use crate::rule::{Findings, Rule};
use crate::{delta, snapshot};

/// What the follower of one playlist is told.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) url: Url,
    /// Stop at this time of the run.
    pub(crate) until: Duration,
    pub(crate) bounds: Bounds,
    /// Keep init and media as files `{prefix}-{n}.mp4`, one per init segment.
    pub(crate) save: Option<PathBuf>,
    /// Keep every full playlist as `{prefix}-{n}.m3u8`.
    pub(crate) record: Option<PathBuf>,
}

/// What the follower of one playlist found.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) findings: Findings,
    pub(crate) facts: RenditionFacts,
    pub(crate) report: RenditionReport,
    pub(crate) init: Option<Init>,
    pub(crate) last: Option<MediaPlaylist>,
}

type Fetching = JoinHandle<anyhow::Result<Exchange>>;

/// Media in playlist order; what arrives out of order waits for its turn.
enum Item {
    Init {
        fetching: Fetching,
    },
    Discontinuity,
    Gap,
    Part {
        claim: PartClaim,
        hinted: bool,
        fetching: Fetching,
    },
    /// A part was hinted and became a gap.
    AbandonedHint {
        fetching: Fetching,
    },
    /// A complete segment: `parts` of its parts went before.
    Segment {
        msn: u64,
        parts_complete: bool,
        fetching: Fetching,
    },
}

struct Follower {
    fetcher: Fetcher,
    task: Task,
    findings: Findings,
    history: History,
    facts: RenditionFacts,
    report: RenditionReport,
    media: MediaHistory,
    items: VecDeque<Item>,
    /// Hinted URI -> its request.
    hints: HashMap<String, Fetching>,
    /// The next segment or part whose media has not been asked for yet.
    next: Option<Position>,
    /// The map in force where `next` is.
    map: Option<String>,
    /// Bytes of the parts of the segment under way.
    concatenated: Vec<u8>,
    /// Checks that something dropped can still be had.
    afterlife: Vec<JoinHandle<Option<String>>>,
    latencies: Vec<Duration>,
    tags: EntityTags,
}

/// Follows the playlist until the time is up or it ends.
///
/// # Errors
/// When the server stops answering.
pub(crate) async fn follow(fetcher: Fetcher, task: Task) -> anyhow::Result<Followed> {
    let name = task.url.path().to_owned();
    let mut follower = Follower {
        fetcher,
        findings: Findings::new(&name),
        history: History::new(task.bounds.clone()),
        facts: RenditionFacts { name: name.clone(), ..RenditionFacts::default() },
        report: RenditionReport { name, ..RenditionReport::default() },
        media: MediaHistory::default(),
        items: VecDeque::new(),
        hints: HashMap::new(),
        next: None,
        map: None,
        concatenated: Vec::new(),
        afterlife: Vec::new(),
        latencies: Vec::new(),
        tags: EntityTags::default(),
        task,
    };
    follower.run().await?;
    Ok(follower.finish().await)
}

impl Follower {
    async fn run(&mut self) -> anyhow::Result<()> {
        let first = self.fetcher.get(&self.task.url).await?;
        let list = self.read(&first);
        let target_duration = list.target_duration.unwrap_or_default();
        exchange::check(&first, Resource::Playlist { target_duration }, &mut self.findings);
        if first.status != 200 {
            anyhow::bail!("{}: {}", self.task.url, first.status);
        }
        self.take(&first, list)?;
        while self.fetcher.now() < self.task.until {
            let Some(last) = self.history.last() else { break };
            if last.endlist {
                break;
            }
            self.reload().await?;
            self.drain_finished().await;
        }
        Ok(())
    }

    /// One blocking reload, full and delta side by side.
    async fn reload(&mut self) -> anyhow::Result<()> {
        let Some(before) = self.history.last().cloned() else { return Ok(()) };
        let edge = before.end();
        let full_url = with_query(&self.task.url, &format!("_HLS_msn={}&_HLS_part={}", edge.msn, edge.part));
        let delta_url = with_query(
            &self.task.url,
            &format!("_HLS_msn={}&_HLS_part={}&_HLS_skip=YES", edge.msn, edge.part),
        );
        let (full, skipping) = tokio::join!(self.fetcher.get(&full_url), self.fetcher.get(&delta_url));
        let (full, skipping) = (full?, skipping?);
        let list = self.read(&full);
        anyhow::ensure!(full.status == 200, "{}: {} {}", full.url, full.status, full.text());
        let reached = |l: &MediaPlaylist| l.endlist || l.end() > edge;
        let mut findings = Findings::new(&self.facts.name);
        let delta = playlist::parse(&skipping.text(), &mut findings);
        let target_duration = list.target_duration.unwrap_or_default();
        for (answer, ended) in [(&full, list.endlist), (&skipping, delta.endlist)] {
            // An ended playlist ignores directives; its URL may stand for another broadcast soon.
            self.tags.see(answer, &mut findings);
            if !ended {
                exchange::check(answer, Resource::Blocking { target_duration }, &mut findings);
            }
        }
        for (what, l) in [("full", &list), ("delta", &delta)] {
            if !reached(l) {
                let detail = format!("{what} answer to {edge:?} ends at {:?}", l.end());
                findings.add(Rule::BlockedTooShort, detail);
            }
        }
        // The two requests may have met different versions.
        if delta.end() == list.end() && delta.endlist == list.endlist && skipping.status == 200 {
            delta::check(&before, &delta, &list, &mut findings);
            self.report.deltas += 1;
        }
        self.findings.absorb(findings);
        self.take(&full, list)
    }

    fn read(&mut self, answer: &Exchange) -> MediaPlaylist {
        let text = answer.text();
        if let Some(prefix) = &self.task.record {
            let path = prefix.with_file_name(format!(
                "{}-{:04}.m3u8",
                prefix.file_name().unwrap_or_default().to_string_lossy(),
                self.report.reloads
            ));
            if let Err(error) = std::fs::write(&path, &text) {
                self.findings.add(Rule::Status, format!("{}: {error}", path.display()));
            }
        }
        playlist::parse(&text, &mut self.findings)
    }

    /// Applies the rules to a full playlist and asks for the media it names.
    fn take(&mut self, answer: &Exchange, list: MediaPlaylist) -> anyhow::Result<()> {
        self.report.reloads += 1;
        snapshot::check(&list, &mut self.findings);
        self.facts.learn(&list);
        for report in &list.reports {
            if let (Some(last_msn), Some(last_part)) = (report.last_msn, report.last_part) {
                let about =
                    self.task.url.join(&report.uri).context("rendition report URI")?.path().to_owned();
                let received = answer.first_byte;
                self.facts.reports.push(ReportFact { about, received, last_msn, last_part });
            }
        }
        self.edge_latency(&list);
        self.watch_dropped(&list);
        self.history.advance(answer.first_byte, list.clone(), &mut self.findings);
        self.ask_for_media(&list)?;
        self.ask_for_hint(&list)
    }

    fn edge_latency(&mut self, list: &MediaPlaylist) {
        let mut end = None;
        for segment in &list.segments {
            end = segment.date_time.or(end);
            let length = jiff::SignedDuration::try_from(segment.length()).unwrap_or_default();
            end = end.and_then(|e| e.checked_add(length).ok());
        }
        if let Some(end) = end {
            let behind = jiff::Timestamp::now().duration_since(end);
            self.latencies.push(Duration::try_from(behind).unwrap_or_default());
        }
    }

    /// Parts and segments that the new playlist lists no more must stay downloadable (§6.2.2).
    fn watch_dropped(&mut self, list: &MediaPlaylist) {
        let Some(before) = self.history.last() else { return };
        let target = list.target_duration.unwrap_or_default();
        let mut watch: Vec<(String, Duration)> = Vec::new();
        for old in before.segments.iter().filter(|s| !s.gap) {
            match list.segments.iter().find(|s| s.msn == old.msn) {
                Some(new) if new.parts.len() < old.parts.len() => {
                    // Three target durations is what is promised; half a second is left for the request.
                    let wait = (3 * target).saturating_sub(Duration::from_millis(500));
                    watch.extend(old.parts.iter().filter(|p| !p.gap).map(|p| (p.uri.clone(), wait)).take(1));
                }
                None => watch.extend(old.uri.clone().map(|uri| (uri, old.length()))),
                Some(_) => {}
            }
        }
        for (uri, wait) in watch {
            let Ok(url) = self.task.url.join(&uri) else { continue };
            if self.fetcher.now() + wait >= self.task.until {
                continue;
            }
            let fetcher = self.fetcher.clone();
            self.afterlife.push(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                match fetcher.request(Method::HEAD, &url, &[]).await {
                    Ok(answer) if answer.status == 200 => None,
                    Ok(answer) => {
                        Some(format!("{uri}: {} {wait:?} after it left the playlist", answer.status))
                    }
                    Err(error) => Some(format!("{uri}: {error:#}")),
                }
            }));
        }
    }

    fn fetch(&self, uri: &str) -> anyhow::Result<Fetching> {
        let url = self.task.url.join(uri).with_context(|| format!("URI {uri:?}"))?;
        let fetcher = self.fetcher.clone();
        Ok(tokio::spawn(async move { fetcher.get(&url).await }))
    }

    fn ask_for_hint(&mut self, list: &MediaPlaylist) -> anyhow::Result<()> {
        for hint in list.hints.iter().filter(|h| h.kind == "PART") {
            if !self.hints.contains_key(&hint.uri) {
                let fetching = self.fetch(&hint.uri)?;
                self.hints.insert(hint.uri.clone(), fetching);
            }
        }
        Ok(())
    }

    fn ask_for_media(&mut self, list: &MediaPlaylist) -> anyhow::Result<()> {
        let start = Position { msn: list.segments.first().map_or(0, |s| s.msn), part: 0 };
        let mut next = *self.next.get_or_insert(start);
        let from = next.msn;
        for segment in list.segments.iter().filter(|s| s.msn >= from) {
            if segment.msn > next.msn {
                next = Position { msn: segment.msn, part: 0 };
            }
            if next.part == 0 {
                self.segment_begins(segment)?;
            }
            if segment.gap && segment.uri.is_some() {
                self.items.push_back(Item::Gap);
                self.report.gaps += 1;
                next = Position { msn: segment.msn + 1, part: 0 };
                continue;
            }
            let all_parts = next.part == 0 && !segment.parts.is_empty() || next.part > 0;
            for (index, part) in segment.parts.iter().enumerate().skip(next.part as usize) {
                next.part = index as u64 + 1;
                if part.gap {
                    if let Some(fetching) = self.hints.remove(&part.uri) {
                        self.items.push_back(Item::AbandonedHint { fetching });
                    }
                    self.items.push_back(Item::Gap);
                    continue;
                }
                let hinted = self.hints.remove(&part.uri);
                let claim = PartClaim {
                    name: format!("segment {} part {index} ({})", segment.msn, part.uri),
                    duration: Some(part.duration),
                    independent: Some(part.independent),
                };
                let (hinted, fetching) = match hinted {
                    Some(fetching) => (true, fetching),
                    None => (false, self.fetch(&part.uri)?),
                };
                self.items.push_back(Item::Part { claim, hinted, fetching });
            }
            if let Some(uri) = &segment.uri {
                if !segment.parts.is_empty() {
                    self.facts.part_counts.insert(segment.msn, segment.parts.len() as u64);
                }
                let fetching = self.fetch(uri)?;
                let parts_complete = all_parts && !segment.parts.iter().any(|p| p.gap);
                self.items.push_back(Item::Segment { msn: segment.msn, parts_complete, fetching });
                next = Position { msn: segment.msn + 1, part: 0 };
            }
        }
        self.next = Some(next);
        Ok(())
    }

    /// A segment is seen for the first time: its discontinuity and its init segment come first.
    fn segment_begins(&mut self, segment: &Segment) -> anyhow::Result<()> {
        // Part 0 may be looked for more than once while the open segment has tags but no parts.
        let seen = self.report.msn.is_some_and(|(_, last)| segment.msn <= last);
        if seen {
            return Ok(());
        }
        let first = self.report.msn.map_or(segment.msn, |(first, _)| first);
        self.report.msn = Some((first, segment.msn));
        if segment.discontinuity {
            self.report.discontinuities += 1;
            self.items.push_back(Item::Discontinuity);
        }
        if let Some(map) = segment.map.as_ref().filter(|map| self.map.as_ref() != Some(*map)) {
            let fetching = self.fetch(map)?;
            self.map = Some(map.clone());
            self.items.push_back(Item::Init { fetching });
        }
        Ok(())
    }

    async fn drain_finished(&mut self) {
        while let Some(item) = self.items.front() {
            let finished = match item {
                Item::Init { fetching }
                | Item::AbandonedHint { fetching }
                | Item::Part { fetching, .. }
                | Item::Segment { fetching, .. } => fetching.is_finished(),
                Item::Discontinuity | Item::Gap => true,
            };
            if !finished {
                break;
            }
            if let Some(item) = self.items.pop_front() {
                self.process(item).await;
            }
        }
    }

    async fn process(&mut self, item: Item) {
        match item {
            Item::Discontinuity => self.media.discontinuity(),
            Item::Gap => {
                self.media.discontinuity();
                self.concatenated.clear();
            }
            Item::AbandonedHint { fetching } => match fetching.await {
                Ok(Ok(answer)) => check_problem(&answer, 404, Rule::AbandonedHint, &mut self.findings),
                Ok(Err(error)) => self.findings.add(Rule::AbandonedHint, format!("{error:#}")),
                Err(error) => self.findings.add(Rule::AbandonedHint, format!("the request ended: {error}")),
            },
            Item::Init { fetching } => {
                if let Some(answer) = self.media_answer(fetching).await {
                    self.media.set_init(&answer.body, &mut self.findings);
                    self.report.inits += 1;
                    self.save_new(&answer.body);
                }
            }
            Item::Part { claim, hinted, fetching } => {
                let Some(answer) = self.media_answer(fetching).await else { return };
                if hinted {
                    self.report.hinted_parts += 1;
                    check_line_speed(&answer, &mut self.findings);
                }
                self.report.parts += 1;
                self.media.check(&claim, &answer.body, &mut self.findings);
                self.concatenated.extend_from_slice(&answer.body);
            }
            Item::Segment { msn, parts_complete, fetching } => {
                let parts = std::mem::take(&mut self.concatenated);
                let Some(answer) = self.media_answer(fetching).await else { return };
                self.report.segments += 1;
                if let Some(fact) = self.facts.segments.get_mut(&msn) {
                    fact.bytes = Some(answer.body.len() as u64);
                }
                if parts_complete {
                    if parts != answer.body {
                        let detail =
                            format!("segment {msn}: {} bytes, its parts {}", answer.body.len(), parts.len());
                        self.findings.add(Rule::SegmentBytes, detail);
                    }
                } else {
                    let claim =
                        PartClaim { name: format!("segment {msn}"), duration: None, independent: None };
                    self.media.check(&claim, &answer.body, &mut self.findings);
                }
                self.save_more(&answer.body);
            }
        }
    }

    async fn media_answer(&mut self, fetching: Fetching) -> Option<Exchange> {
        match fetching.await {
            Ok(Ok(answer)) => {
                exchange::check(&answer, Resource::Media, &mut self.findings);
                (answer.status == 200).then_some(answer)
            }
            Ok(Err(error)) => {
                self.findings.add(Rule::Status, format!("{error:#}"));
                None
            }
            Err(error) => {
                self.findings.add(Rule::Status, format!("the request ended: {error}"));
                None
            }
        }
    }

    fn save_new(&mut self, init: &[u8]) {
        let Some(prefix) = &self.task.save else { return };
        let name = prefix.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = prefix.with_file_name(format!("{name}-{}.mp4", self.report.saved.len()));
        match std::fs::write(&path, init) {
            Ok(()) => self.report.saved.push(path),
            Err(error) => self.findings.add(Rule::Status, format!("{}: {error}", path.display())),
        }
    }

    fn save_more(&mut self, bytes: &[u8]) {
        let Some(path) = self.report.saved.last() else { return };
        let written = std::fs::OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
        if let Err(error) = written {
            self.findings.add(Rule::Status, format!("{}: {error}", path.display()));
        }
    }

    async fn finish(mut self) -> Followed {
        while let Some(item) = self.items.pop_front() {
            self.process(item).await;
        }
        for fetching in self.hints.into_values() {
            fetching.abort();
        }
        for check in self.afterlife {
            if let Ok(Some(detail)) = check.await {
                self.findings.add(Rule::StillDownloadable, detail);
            }
        }
        // The open segment's parts are media too, when the playlist did not end.
        let open = std::mem::take(&mut self.concatenated);
        let mut report = self.report;
        if !open.is_empty()
            && let Some(path) = report.saved.last()
            && let Ok(mut file) = std::fs::OpenOptions::new().append(true).open(path)
            && let Err(error) = std::io::Write::write_all(&mut file, &open)
        {
            self.findings.add(Rule::Status, format!("{}: {error}", path.display()));
        }
        let mut intervals = self.history.intervals().to_vec();
        intervals.sort_unstable();
        self.latencies.sort_unstable();
        report.cadence_max = intervals.last().copied().unwrap_or_default();
        report.cadence_p50 = intervals.get(intervals.len() / 2).copied().unwrap_or_default();
        report.edge_latency = self.latencies.get(self.latencies.len() / 2).copied();
        report.video_samples = self.media.video_samples;
        report.audio_samples = self.media.audio_samples;
        let last = self.history.last().cloned();
        report.ended = last.as_ref().is_some_and(|l| l.endlist);
        report.media = last.as_ref().map(MediaPlaylist::duration).unwrap_or_default();
        self.facts.edges = self.history.edges().to_vec();
        report.peak_bit_rate = crate::across::peak_bit_rate(&self.facts);
        Followed {
            findings: self.findings,
            facts: self.facts,
            report,
            init: self.media.init().cloned(),
            last,
        }
    }
}

/// The URL with a query.
pub(crate) fn with_query(url: &Url, query: &str) -> Url {
    let mut url = url.clone();
    url.set_query(Some(query));
    url
}
