//! One after the other, by name: a thousand people who want one name at once cost one hash of a password, because the others
//! wait for what becomes of the first and then find the name taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

type Waiting = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// Who is at it, by name. Clones share it. Holds no more names than there are people at it.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Waiting>);

/// The turn of one; the next one comes when it is dropped.
#[derive(Debug)]
pub struct Turn {
    name: String,
    turns: Turns,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn at this name.
    pub async fn take(&self, name: &str) -> Turn {
        let lock = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(waiting.entry(name.to_owned()).or_default())
        };
        // From here on the entry is looked after even if nobody waits for us any more.
        let mut turn = Turn { name: name.to_owned(), turns: self.clone(), held: None };
        turn.held = Some(lock.lock_owned().await);
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut waiting = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who wait hold it too.
        if waiting.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            waiting.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn of_one_name_one_goes_at_a_time_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let first = turns.take("ada").await;
        assert!(turns.take("bob").now_or_never().is_some(), "another name does not wait");
        let mut second = Box::pin(turns.take("ada"));
        assert!(second.as_mut().now_or_never().is_none());
        let mut gone = Box::pin(turns.take("ada"));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        drop(second.await);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
