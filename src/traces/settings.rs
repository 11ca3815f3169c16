//! What `OTEL_*` says of traces. Names and defaults are OpenTelemetry's; the SDK reads most of them itself and is silent
//! about what it does not understand, so that is found here.

use std::time::Duration;

/// Where traces go turns them on.
pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How spans leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Spans that may wait (`OTEL_BSP_MAX_QUEUE_SIZE`).
    pub(super) queue: usize,
    /// Spans that are sent at once (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
    pub(super) batch: usize,
    /// How long the first of them waits for others (`OTEL_BSP_SCHEDULE_DELAY`).
    pub(super) delay: Duration,
}

/// Reads them; `None`: no traces are wanted. `variable` gives what the environment has.
///
/// # Errors
/// Everything that is wrong, with the remedy.
pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, Vec<String>> {
    let set = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let says = |name: &str, word: &str| set(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
    let Some(endpoint) = set(ENDPOINT) else { return Ok(None) };
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let mut problems = Vec::new();
    let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    if host.is_none_or(str::is_empty) || endpoint.contains('@') {
        // It is not repeated: somebody may have put a password into it.
        problems.push(format!("{ENDPOINT}: is no address; write it as http://collector:4318"));
    }
    for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
        if let Some(protocol) = set(name).filter(|protocol| protocol != "http/protobuf") {
            problems.push(format!(
                "{name}: is {protocol:?}; Millrace speaks http/protobuf, which collectors take at port 4318"
            ));
        }
    }
    if let Some(exporter) = set("OTEL_TRACES_EXPORTER").filter(|exporter| exporter != "otlp") {
        problems.push(format!("OTEL_TRACES_EXPORTER: is {exporter:?}; write otlp or none"));
    }
    problems.extend(sampler(&set));
    let mut number = |name: &str, default: usize| match set(name).map(|text| text.parse::<usize>()) {
        None => default,
        Some(Ok(number)) if (1..=1_000_000).contains(&number) => number,
        Some(_) => {
            problems.push(format!("{name}: must be a number from 1 to 1000000"));
            default
        }
    };
    let settings = Settings {
        queue: number("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
        batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        delay: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5000) as u64),
    };
    if problems.is_empty() { Ok(Some(settings)) } else { Err(problems) }
}

fn sampler(set: &impl Fn(&str) -> Option<String>) -> Option<String> {
    const ALWAYS: [&str; 4] = ["always_on", "always_off", "parentbased_always_on", "parentbased_always_off"];
    const RATIO: [&str; 2] = ["traceidratio", "parentbased_traceidratio"];
    let name = set("OTEL_TRACES_SAMPLER")?;
    if ALWAYS.contains(&name.as_str()) {
        return None;
    }
    if !RATIO.contains(&name.as_str()) {
        let known = [ALWAYS.as_slice(), &RATIO].concat().join(", ");
        return Some(format!(
            "OTEL_TRACES_SAMPLER: {name:?} is no sampler of Millrace; write one of {known}"
        ));
    }
    let ratio = set("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.parse::<f64>().ok());
    let good = ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio));
    (!good).then(|| format!("OTEL_TRACES_SAMPLER_ARG: {name} needs a number from 0 to 1, as 0.1 for a tenth"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Option<Settings>, Vec<String>> {
        read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    const ON: (&str, &str) = (ENDPOINT, "http://127.0.0.1:4318");

    #[test]
    fn an_endpoint_turns_traces_on_and_the_usual_switches_off() {
        assert_eq!(with(&[]), Ok(None));
        assert_eq!(with(&[(ENDPOINT, " ")]), Ok(None));
        assert_eq!(with(&[ON, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(with(&[ON, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        let usual = Settings { queue: 2048, batch: 512, delay: Duration::from_secs(5) };
        assert_eq!(with(&[ON]), Ok(Some(usual)));
        let set = [
            ON,
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ];
        let settings = Settings { queue: 10, batch: 5, delay: Duration::from_millis(50) };
        assert_eq!(with(&set), Ok(Some(settings)));
    }

    #[test]
    fn what_would_be_misunderstood_is_said() {
        for (name, value) in [
            (ENDPOINT, "collector:4318"),
            (ENDPOINT, "https://"),
            (ENDPOINT, "http://ada:secret@collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "some"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ] {
            let problems = with(&[(name, value), ON]).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(name), "{problems:?}");
            assert!(!problems[0].contains("secret"), "{problems:?}");
        }
        let arg = with(&[ON, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")]);
        assert!(arg.unwrap_err()[0].starts_with("OTEL_TRACES_SAMPLER_ARG"));
    }
}
