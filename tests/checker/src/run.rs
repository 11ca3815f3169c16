//! Shell: a whole run against a live multivariant playlist.
#![expect(clippy::disallowed_methods, reason = "shell: sends requests, reads the clock, starts tasks")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use reqwest::Url;

use crate::across::{RenditionFacts, check_alignment, check_bandwidth, check_reports};
use crate::exchange::{self, Exchange, Resource, check_problem};
use crate::fetch::{Fetcher, Protocol};
use crate::follow::{Followed, Task, follow};
use crate::history::Bounds;
use crate::multivariant::{self, Multivariant, Variant};
use crate::probe::probe;
use crate::report::Report;
use crate::rule::{Findings, Rule};

/// What to check and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// The multivariant playlist.
    pub url: String,
    /// Which HTTP to speak.
    pub protocol: Protocol,
    /// How long to watch from the first playlist on; a playlist that ends is left earlier.
    pub watch: Duration,
    /// How long the multivariant playlist may be 404 before it appears.
    pub wait: Duration,
    /// Whether to ask the one-off questions (bad directives, ranges, …).
    pub probes: bool,
    /// When they are asked, after the first playlist.
    pub probe_after: Duration,
    /// Bounds of ours.
    pub bounds: Bounds,
    /// Folder to keep the media in, one file per rendition and init segment.
    pub save: Option<PathBuf>,
    /// Folder to keep every full playlist in.
    pub record: Option<PathBuf>,
}

impl Options {
    /// Thirty seconds with probes.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            protocol: Protocol::default(),
            watch: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            probes: true,
            probe_after: Duration::from_secs(6),
            bounds: Bounds::default(),
            save: None,
            record: None,
        }
    }
}

/// Time between two looks at the multivariant playlist.
const MULTIVARIANT_INTERVAL: Duration = Duration::from_secs(2);

/// Follows every media playlist of a multivariant playlist and judges what came.
///
/// # Errors
/// When the playlist never appears, or the server stops answering.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    let fetcher = Fetcher::new(options.protocol)?;
    let url = Url::parse(&options.url)?;
    let mut findings = Findings::new(url.path());
    let first = appear(&fetcher, &url, options.wait, &mut findings).await?;
    let first_playlist = first.last_byte;
    let multivariant = read(&first, &mut findings);
    if let Some(folder) = &options.record {
        std::fs::write(folder.join("multivariant.m3u8"), first.text())?;
    }
    let until = fetcher.now() + options.watch;
    let (mut following, mut asking) = (Vec::new(), Vec::new());
    for (index, uri) in multivariant.media_playlists().iter().enumerate() {
        let playlist = url.join(uri).with_context(|| format!("media playlist {uri:?}"))?;
        let label = format!("{index}-{}", uri.split('/').next().unwrap_or("playlist"));
        let task = Task {
            url: playlist.clone(),
            until,
            bounds: options.bounds.clone(),
            save: options.save.as_ref().map(|folder| folder.join(&label)),
            record: options.record.as_ref().map(|folder| folder.join(&label)),
        };
        following.push(tokio::spawn(follow(fetcher.clone(), task)));
        if options.probes && options.watch > 2 * options.probe_after {
            let fetcher = fetcher.clone();
            // One rendition after the other, so that the questions do not crowd the machine.
            let at = options.probe_after + Duration::from_secs(2 * index as u64);
            asking.push(tokio::spawn(async move {
                tokio::time::sleep(at).await;
                probe(&fetcher, &playlist).await
            }));
        }
    }
    let newest = watch_multivariant(&fetcher, &url, &following, multivariant, &mut findings).await;
    let mut followed: Vec<Followed> = Vec::new();
    for task in following {
        followed.push(task.await.context("a follower panicked")??);
    }
    for task in asking {
        findings.absorb(task.await.context("a prober panicked")??);
    }
    judge(&newest, &url, &followed, &mut findings)?;
    let mut report = Report { first_playlist, took: fetcher.now(), ..Report::default() };
    for one in followed {
        findings.absorb(one.findings);
        report.renditions.push(one.report);
    }
    report.dropped = findings.dropped();
    report.findings = findings.as_slice().to_vec();
    Ok(report)
}

/// Waits until the channel is live. Until then it must be a 404 problem document that nobody may keep.
async fn appear(
    fetcher: &Fetcher,
    url: &Url,
    wait: Duration,
    findings: &mut Findings,
) -> anyhow::Result<Exchange> {
    let deadline = fetcher.now() + wait;
    loop {
        match fetcher.get(url).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            Ok(answer) => {
                check_problem(&answer, 404, Rule::Status, findings);
                if answer.max_age().is_none_or(|age| age > 1) || answer.header("retry-after").is_none() {
                    let detail = format!("offline channel: {:?}", answer.headers);
                    findings.add(Rule::CacheControl, detail);
                }
            }
            Err(error) if fetcher.now() >= deadline => return Err(error),
            Err(_) => {}
        }
        anyhow::ensure!(fetcher.now() < deadline, "{url} did not appear within {wait:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn read(answer: &Exchange, findings: &mut Findings) -> Multivariant {
    exchange::check(answer, Resource::Multivariant, findings);
    multivariant::parse(&answer.text(), findings)
}

/// Reads the multivariant playlist again and again while the followers run; the newest one counts.
async fn watch_multivariant<T>(
    fetcher: &Fetcher,
    url: &Url,
    following: &[tokio::task::JoinHandle<T>],
    first: Multivariant,
    findings: &mut Findings,
) -> Multivariant {
    let mut newest = first;
    while following.iter().any(|task| !task.is_finished()) {
        tokio::time::sleep(MULTIVARIANT_INTERVAL).await;
        // A channel that has ended meanwhile answers 404, which is right.
        if let Ok(answer) = fetcher.get(url).await
            && answer.status == 200
        {
            let list = read(&answer, findings);
            if list.media_playlists() != newest.media_playlists() {
                let detail = format!("{:?} -> {:?}", newest.media_playlists(), list.media_playlists());
                findings.add(Rule::ConstantChanged, detail);
            }
            newest = list;
        }
    }
    newest
}

/// What can only be judged from all renditions together.
fn judge(
    newest: &Multivariant,
    url: &Url,
    followed: &[Followed],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let facts: Vec<RenditionFacts> = followed.iter().map(|f| f.facts.clone()).collect();
    check_reports(&facts, findings);
    if let Some((first, others)) = facts.split_first() {
        for other in others {
            check_alignment(first, other, findings);
        }
    }
    for one in followed {
        let Some(last) = &one.last else { continue };
        check_report_set(
            one,
            last.reports.iter().map(|r| r.uri.as_str()),
            last.endlist,
            &facts,
            url,
            findings,
        )?;
    }
    for variant in &newest.variants {
        let path = url.join(&variant.uri)?.path().to_owned();
        let Some(one) = followed.iter().find(|f| f.facts.name == path) else { continue };
        check_bandwidth(variant, &one.facts, findings);
        check_declared(variant, one, findings);
    }
    Ok(())
}

/// One report for every other rendition, by relative URI, none twice.
fn check_report_set<'a>(
    one: &Followed,
    uris: impl Iterator<Item = &'a str>,
    ended: bool,
    facts: &[RenditionFacts],
    url: &Url,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let own = url.join(&one.facts.name)?;
    let mut named = Vec::new();
    for uri in uris {
        if uri.contains("://") || uri.starts_with('/') {
            findings.add(Rule::RenditionReportMissing, format!("{uri:?} is not relative"));
        }
        named.push(own.join(uri)?.path().to_owned());
    }
    named.sort_unstable();
    let mut expected: Vec<_> =
        facts.iter().map(|f| f.name.clone()).filter(|n| *n != one.facts.name).collect();
    expected.sort_unstable();
    if named != expected && !(ended && named.is_empty()) {
        let detail = format!("{} reports {named:?}, expected {expected:?}", one.facts.name);
        findings.add(Rule::RenditionReportMissing, detail);
    }
    Ok(())
}

/// CODECS and RESOLUTION say what the newest init segment holds.
fn check_declared(variant: &Variant, one: &Followed, findings: &mut Findings) {
    let Some(init) = &one.init else { return };
    let mut held: Vec<String> = init.tracks.iter().map(|t| t.codec.to_ascii_lowercase()).collect();
    let mut declared: Vec<String> = variant.codecs.iter().map(|c| c.to_ascii_lowercase()).collect();
    held.sort_unstable();
    declared.sort_unstable();
    if held != declared {
        findings.add_at(
            Rule::CodecsDeclared,
            variant.line,
            format!("CODECS {declared:?}, init segment {held:?}"),
        );
    }
    let picture = init.tracks.iter().find_map(|t| t.picture).map(|(w, h)| (u64::from(w), u64::from(h)));
    if picture != variant.resolution {
        let detail = format!("RESOLUTION {:?}, init segment {picture:?}", variant.resolution);
        findings.add_at(Rule::CodecsDeclared, variant.line, detail);
    }
}
