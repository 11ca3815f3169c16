//! Groups inside one process: which member has which partitions, and how far each of them read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use crate::bus::journal::Record;
use crate::bus::{BusError, BusFuture, Delivery, Member, Position, Topic, wire_headers};

/// A partition of a topic.
type Part = (Topic, u16);

/// Who is in which group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: HashMap<String, Vec<(u64, Vec<Topic>)>>,
    members: u64,
    generation: u64,
}

impl Groups {
    fn join(&mut self, group: &str, topics: &[Topic]) -> u64 {
        self.members += 1;
        self.generation += 1;
        self.all.entry(group.to_owned()).or_default().push((self.members, topics.to_vec()));
        self.members
    }

    fn leave(&mut self, group: &str, member: u64) {
        self.generation += 1;
        if let Some(members) = self.all.get_mut(group) {
            members.retain(|(id, _)| *id != member);
            if members.is_empty() {
                self.all.remove(group);
            }
        }
    }

    /// The partitions of a member: each one is that of exactly one of those who want its topic.
    fn share(&self, group: &str, member: u64) -> Vec<Part> {
        let members = self.all.get(group).map(Vec::as_slice).unwrap_or_default();
        let mut parts = Vec::new();
        for topic in Topic::ALL {
            let wanting: Vec<_> = members.iter().filter(|(_, topics)| topics.contains(&topic)).collect();
            let own = wanting.iter().position(|(id, _)| *id == member);
            if let Some(own) = own {
                let partitions = 0..topic.spec().partitions;
                parts.extend(
                    partitions.filter(|part| usize::from(*part) % wanting.len() == own).map(|p| (topic, p)),
                );
            }
        }
        parts
    }
}

/// How far a member read in a partition.
#[derive(Debug, Default)]
struct Reading {
    next: i64,
    ahead: VecDeque<Record>,
}

/// A member.
pub(super) struct LocalMember {
    shared: Arc<Shared>,
    group: String,
    id: u64,
    generation: u64,
    parts: BTreeMap<Part, Reading>,
    /// Whose turn it was: no partition waits for a busy one.
    last: Option<Part>,
    changed: watch::Receiver<u64>,
}

impl LocalMember {
    pub(super) fn join(shared: Arc<Shared>, group: &str, topics: &[Topic]) -> Self {
        let id = shared.groups().join(group, topics);
        let changed = shared.changed.subscribe();
        shared.wake();
        let (group, parts) = (group.to_owned(), BTreeMap::new());
        Self { shared, group, id, generation: 0, parts, last: None, changed }
    }

    /// Takes over the partitions that are its own now, where the group left them, and forgets the others.
    async fn rebalance(&mut self) -> Result<(), BusError> {
        let (generation, share) = {
            let groups = self.shared.groups();
            if groups.generation == self.generation {
                return Ok(());
            }
            (groups.generation, groups.share(&self.group, self.id))
        };
        self.parts.retain(|part, _| share.contains(part));
        for part in share {
            if !self.parts.contains_key(&part) {
                let (topic, partition) = part;
                let next = self.shared.journal(topic).committed(&self.group, topic, partition).await?;
                self.parts.insert(part, Reading { next, ahead: VecDeque::new() });
            }
        }
        self.generation = generation;
        Ok(())
    }

    /// An event of the next partition that has one.
    async fn take(&mut self) -> Result<Option<Delivery>, BusError> {
        let all: Vec<Part> = self.parts.keys().copied().collect();
        let turn = self.last.map_or(0, |last| all.partition_point(|part| *part <= last));
        for part in all[turn..].iter().chain(&all[..turn]).copied() {
            let (topic, partition) = part;
            let head = self.shared.heads(topic).await?[usize::from(partition)];
            let Some(reading) = self.parts.get_mut(&part) else { continue };
            while reading.ahead.is_empty() && reading.next < head {
                let page = self.shared.read(topic, partition, reading.next).await?;
                if page.next == reading.next {
                    // What was there is kept no longer.
                    reading.next = head;
                }
                reading.next = page.next;
                reading.ahead.extend(page.records);
            }
            if let Some(Record { offset, event, .. }) = reading.ahead.pop_front() {
                self.last = Some(part);
                let position = Position { topic, partition, offset };
                return Ok(Some(Delivery { position, event, headers: wire_headers() }));
            }
        }
        Ok(None)
    }
}

impl Member for LocalMember {
    fn next(&mut self) -> BusFuture<'_, Result<Delivery, BusError>> {
        Box::pin(async move {
            loop {
                self.changed.mark_unchanged();
                self.rebalance().await?;
                if let Some(delivery) = self.take().await? {
                    return Ok(delivery);
                }
                self.changed.changed().await.map_err(|_| BusError::Closed)?;
            }
        })
    }

    fn commit(&mut self, done: Position) -> BusFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            let part = (done.topic, done.partition);
            let is_own = self.shared.groups().share(&self.group, self.id).contains(&part);
            // It is another's by now, who gets the events again.
            if !is_own {
                return Ok(());
            }
            self.shared.journal(done.topic).commit(&self.group, done).await
        })
    }
}

impl Drop for LocalMember {
    fn drop(&mut self) {
        self.shared.groups().leave(&self.group, self.id);
        self.shared.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_belongs_to_exactly_one_member() {
        let mut groups = Groups::default();
        let first = groups.join("workers", &[Topic::Jobs, Topic::Nodes]);
        assert_eq!(groups.share("workers", first).len(), 13);
        let second = groups.join("workers", &[Topic::Jobs]);
        let (of_first, of_second) = (groups.share("workers", first), groups.share("workers", second));
        assert_eq!((of_first.len(), of_second.len()), (7, 6), "{of_first:?} {of_second:?}");
        assert!(of_first.iter().all(|part| !of_second.contains(part)));
        groups.leave("workers", first);
        assert_eq!(groups.share("workers", second).len(), 12);
        assert_eq!(groups.share("workers", first), []);
        assert_eq!(groups.share("others", second), []);
    }
}
