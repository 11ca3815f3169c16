//! The bus of a server: an ordered log in the store with delivery in the process, or Apache Kafka with an outbox in the
//! store. What it promises is in [`millrace_core::bus`]; how it is run is in `docs/bus.md`.
//!
//! | Specification | Where |
//! |---|---|
//! | CloudEvents 1.0, JSON format and Kafka binding, structured mode | `millrace_core::event`, [`kafka`] |
//! | AsyncAPI 3.0 | `docs/asyncapi.yaml` |
#![warn(missing_docs)]

mod journal;
pub mod kafka;
mod local;
mod records;
mod settings;

pub use journal::StoreJournal;
pub use kafka::{KafkaBus, KafkaSettings};
pub use local::LocalBus;
pub use records::{COLLECTIONS, Handled};
pub use settings::{BusLocation, BusLocationError, KafkaConfig, Mechanism, Security};

#[cfg(test)]
mod tests {
    use millrace_core::bus::Topic;
    use std::collections::BTreeSet;

    use millrace_core::event::EventBody;

    #[test]
    fn the_description_has_every_topic_and_every_type() {
        let description = include_str!("../../docs/asyncapi.yaml");
        for topic in Topic::ALL {
            let spec = topic.spec();
            let channel = format!("    address: {}\n", spec.name);
            let at = description.find(&channel).expect(spec.name);
            let end = description[at..].find("retention.ms").expect(spec.name) + 60;
            let about = &description[at..at + end];
            let partitions = format!("partitions: {}\n", spec.partitions);
            let retention = format!("retention.ms: {} }}", spec.retention.as_millis());
            assert!(about.contains(&partitions) && about.contains(&retention), "{about}");
            assert!(description.contains(&format!("    address: {}\n", topic.dead_letters())), "{topic}");
        }
        for kind in EventBody::TYPES {
            assert!(description.contains(&format!("type: {{ type: string, const: {kind} }}")), "{kind}");
        }
        // Some stand there more than once: what is said of a person and of a room has other data.
        let named = description.lines().filter_map(|line| line.strip_prefix("      name: ").map(str::trim));
        let described: BTreeSet<_> = named.filter(|name| name.ends_with(".v1")).collect();
        assert_eq!(described, EventBody::TYPES.iter().copied().collect());
    }
}
