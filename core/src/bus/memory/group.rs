//! Groups inside one process: which member has which partitions, and how far each of them read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::Shared;
use crate::bus::journal::{Journal, Record};
use crate::bus::{BusError, BusFuture, Delivery, Member, Position, Topic, wire_headers};

/// A partition of a topic.
type Part = (Topic, u16);

/// Who is in which group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: HashMap<String, Vec<Enrolled>>,
    members: u64,
    generation: u64,
}

/// A member as its group knows it.
#[derive(Debug)]
struct Enrolled {
    id: u64,
    topics: Vec<Topic>,
    news: Arc<Notify>,
}

impl Groups {
    fn join(&mut self, group: &str, topics: &[Topic], news: Arc<Notify>) -> u64 {
        self.members += 1;
        self.generation += 1;
        let (id, topics) = (self.members, topics.to_vec());
        self.all.entry(group.to_owned()).or_default().push(Enrolled { id, topics, news });
        id
    }

    /// Has members of such topics look again.
    pub(super) fn wake(&self, topics: impl Fn(&[Topic]) -> bool) {
        self.all.values().flatten().filter(|member| topics(&member.topics)).for_each(|member| {
            // Whoever looks right now looks once more.
            member.news.notify_one();
        });
    }

    fn leave(&mut self, group: &str, member: u64) {
        self.generation += 1;
        if let Some(members) = self.all.get_mut(group) {
            members.retain(|other| other.id != member);
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
            let wanting: Vec<_> = members.iter().filter(|other| other.topics.contains(&topic)).collect();
            let own = wanting.iter().position(|other| other.id == member);
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
    /// Something was appended to its topics, or the members of a group changed.
    news: Arc<Notify>,
}

impl LocalMember {
    pub(super) fn join(shared: Arc<Shared>, group: &str, topics: &[Topic]) -> Self {
        let news = Arc::new(Notify::new());
        let id = {
            let mut groups = shared.groups();
            let id = groups.join(group, topics, Arc::clone(&news));
            groups.wake(|_| true);
            id
        };
        let (group, parts) = (group.to_owned(), BTreeMap::new());
        Self { shared, group, id, generation: 0, parts, last: None, news }
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
                let page = self.shared.read_newest(topic, partition, reading.next).await?;
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
                self.rebalance().await?;
                if let Some(delivery) = self.take().await? {
                    return Ok(delivery);
                }
                self.news.notified().await;
            }
        })
    }

    fn commit<'a>(&'a mut self, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            // What is another's by now, that member gets again.
            let share = self.shared.groups().share(&self.group, self.id);
            let own = done.iter().copied().filter(|done| share.contains(&(done.topic, done.partition)));
            let (lossy, kept): (Vec<_>, Vec<_>) = own.partition(|done| done.topic.spec().may_be_lost);
            for (journal, done) in
                [(&self.shared.lossy as &dyn Journal, lossy), (self.shared.journal.as_ref(), kept)]
            {
                if !done.is_empty() {
                    journal.commit(&self.group, &done).await?;
                }
            }
            Ok(())
        })
    }
}

impl Drop for LocalMember {
    fn drop(&mut self) {
        let mut groups = self.shared.groups();
        groups.leave(&self.group, self.id);
        groups.wake(|_| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_belongs_to_exactly_one_member() {
        let mut groups = Groups::default();
        let first = groups.join("workers", &[Topic::Jobs, Topic::Nodes], Arc::default());
        assert_eq!(groups.share("workers", first).len(), 13);
        let second = groups.join("workers", &[Topic::Jobs], Arc::default());
        let (of_first, of_second) = (groups.share("workers", first), groups.share("workers", second));
        assert_eq!((of_first.len(), of_second.len()), (7, 6), "{of_first:?} {of_second:?}");
        assert!(of_first.iter().all(|part| !of_second.contains(part)));
        groups.leave("workers", first);
        assert_eq!(groups.share("workers", second).len(), 12);
        assert_eq!(groups.share("workers", first), []);
        assert_eq!(groups.share("others", second), []);
    }
}
