//! Who may say nothing in many rooms: in all of an owner, or in all of the site.

use millrace_core::ids::{ChannelId, UserId};
use millrace_store::{After, Change, Changes, Order, Query, StoreError};

use super::{AT_ONCE, ChatBar, Message, REMOVED_AT_ONCE, Rooms};

/// Most people in an owner's list.
pub const OWNER_BARS_MAX: usize = 1_000;
/// Most people in the list of the site.
pub const SITE_BARS_MAX: usize = 100_000;

impl Rooms {
    /// The ban of somebody from all rooms of an owner, or of the site.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn bar(&self, owner: Option<UserId>, user: UserId) -> Result<Option<ChatBar>, StoreError> {
        Ok(self.0.get::<ChatBar>(&ChatBar::id_of(owner, user)).await?.map(|kept| kept.value))
    }

    /// How many are in a list.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_bars(&self, owner: Option<UserId>) -> Result<u64, StoreError> {
        self.0.count::<ChatBar>(&of_list(owner, 0)).await
    }

    /// Who is in a list, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn bars(
        &self,
        owner: Option<UserId>,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<ChatBar>, StoreError> {
        let query = of_list(owner, limit).ordered("at", Order::Descending).after(after);
        Ok(self.0.find::<ChatBar>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// Puts somebody into a list, in the place of what was said of them there before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn put_bar(&self, bar: &ChatBar) -> Result<(), StoreError> {
        loop {
            let id = millrace_store::Document::id(bar);
            let put = self.0.update(&id, |_: ChatBar| Change::<_, ()>::To(bar.clone())).await?;
            if put.is_some() {
                return Ok(());
            }
            match self.0.insert(bar).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done,
            }
        }
    }

    /// Takes somebody out of a list; whether they were in it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn lift_bar(&self, owner: Option<UserId>, user: UserId) -> Result<bool, StoreError> {
        let Some(kept) = self.0.get::<ChatBar>(&ChatBar::id_of(owner, user)).await? else { return Ok(false) };
        match self.0.commit(Changes::new().delete(&kept)).await {
            Ok(()) => Ok(true),
            Err(StoreError::Stale { .. }) => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// The lists that somebody is in, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn bars_on(&self, user: UserId, limit: usize) -> Result<Vec<ChatBar>, StoreError> {
        let query = Query::with("user", user.to_string(), limit).ordered("at", Order::Descending);
        Ok(self.0.find::<ChatBar>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// Takes away what somebody said in these rooms, or in all, the newest [`REMOVED_AT_ONCE`].
    pub(crate) async fn remove_everywhere(
        &self,
        rooms: Option<&[ChannelId]>,
        author: UserId,
        by: UserId,
    ) -> Result<(), StoreError> {
        let query =
            Query::with("author", author.to_string(), REMOVED_AT_ONCE).ordered("at", Order::Descending);
        let found = self.0.find::<Message>(&query).await?;
        let shown: Vec<_> = found
            .into_iter()
            .filter(|kept| {
                kept.removed_by.is_none() && rooms.is_none_or(|rooms| rooms.contains(&kept.channel))
            })
            .collect();
        for some in shown.chunks(AT_ONCE) {
            let changes = some.iter().fold(Changes::new(), |changes, kept| {
                changes.replace(kept, &Message { removed_by: Some(by), ..kept.value.clone() })
            });
            self.0.commit(changes).await?;
        }
        Ok(())
    }
}

fn of_list(owner: Option<UserId>, limit: usize) -> Query {
    Query::with("list", ChatBar::list_of(owner), limit)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{message, rooms, said, user};
    use super::*;

    #[tokio::test]
    async fn a_ban_from_many_rooms_is_in_one_list_and_takes_away_what_was_said_there() {
        let (_site, rooms) = rooms().await;
        let channel = |number| ChannelId(uuid::Uuid::from_u128(number));
        for (number, room, author) in [(1, 1, 7), (2, 2, 7), (3, 1, 8)] {
            rooms.keep_many(channel(room), &[&message(number, author, "x")]).await.unwrap();
        }
        let bar = |owner: Option<UserId>, reason: &str| ChatBar {
            list: ChatBar::list_of(owner),
            user: user(7),
            reason: reason.to_owned(),
            by: user(9),
            at: 1,
        };
        for reason in ["spam", "more spam"] {
            rooms.put_bar(&bar(Some(user(9)), reason)).await.unwrap();
        }
        assert_eq!(rooms.bar(Some(user(9)), user(7)).await.unwrap().unwrap().reason, "more spam");
        assert_eq!(rooms.bar(None, user(7)).await.unwrap(), None, "another list");
        assert_eq!(rooms.bars(Some(user(9)), None, 9).await.unwrap().len(), 1);
        rooms.remove_everywhere(Some(&[channel(1)]), user(7), user(9)).await.unwrap();
        assert_eq!((said(&rooms, channel(1)).await, said(&rooms, channel(2)).await), (vec![3], vec![2]));
        rooms.remove_everywhere(None, user(7), user(9)).await.unwrap();
        assert_eq!(said(&rooms, channel(2)).await, [0_u128; 0]);
        assert!(rooms.lift_bar(Some(user(9)), user(7)).await.unwrap());
        assert!(!rooms.lift_bar(Some(user(9)), user(7)).await.unwrap());
        // Who goes takes along what was said of them, and their list.
        rooms.put_bar(&bar(None, "")).await.unwrap();
        rooms.put_bar(&bar(Some(user(7)), "")).await.unwrap();
        rooms.forget_person(user(7)).await.unwrap();
        assert_eq!(rooms.bars_on(user(7), 9).await.unwrap(), []);
    }
}
