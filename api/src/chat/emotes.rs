//! Emotes: those of each channel, and those that every room of the site has.

use std::sync::atomic::{AtomicBool, Ordering};

use millrace_core::chat::{Emote, RoomUpdated};
use millrace_core::ids::ChannelId;
use millrace_store::StoreError;

use super::Rooms;

/// What every room has is kept like a room, of no channel.
pub(crate) const SITE: ChannelId = ChannelId(uuid::Uuid::nil());

/// What became of an emote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there; the picture that it had before, if there was one of its name.
    There(Box<RoomUpdated>, Option<Emote>),
    /// There are as many as may be.
    TooMany,
}

impl Rooms {
    /// Adds an emote, or gives the one of that name another picture. At most `max` of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn put_emote(
        &self,
        channel: ChannelId,
        emote: &Emote,
        max: usize,
    ) -> Result<Put, StoreError> {
        let before = self.state(channel).await?.emotes;
        let room = self.change(channel, |room| {
            if let Some(known) = room.emotes.iter_mut().find(|known| known.name == emote.name) {
                known.clone_from(emote);
            } else if room.emotes.len() < max {
                room.emotes.push(emote.clone());
            } else {
                return;
            }
            room.emotes_version += 1;
        });
        let room = room.await?;
        if !room.emotes.contains(emote) {
            return Ok(Put::TooMany);
        }
        let replaced = before.into_iter().find(|known| known.name == emote.name);
        Ok(Put::There(Box::new(room), replaced))
    }

    /// Takes an emote away; absent if there was none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn remove_emote(
        &self,
        channel: ChannelId,
        name: &str,
    ) -> Result<Option<(RoomUpdated, Emote)>, StoreError> {
        let before = self.state(channel).await?.emotes;
        let Some(emote) = before.into_iter().find(|known| known.name == name) else { return Ok(None) };
        let was_there = AtomicBool::new(false);
        let change = |room: &mut RoomUpdated| {
            let many = room.emotes.len();
            room.emotes.retain(|known| known.name != name);
            let gone = room.emotes.len() < many;
            room.emotes_version += i64::from(gone);
            was_there.store(gone, Ordering::Relaxed);
        };
        let room = self.change(channel, change).await?;
        Ok(was_there.load(Ordering::Relaxed).then_some((room, emote)))
    }

    /// The emotes that every room has.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn site_emotes(&self) -> Result<Vec<Emote>, StoreError> {
        Ok(self.state(SITE).await?.emotes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rooms;
    use super::*;

    fn emote(name: &str, picture: u128) -> Emote {
        Emote { name: name.into(), picture: uuid::Uuid::from_u128(picture), animated: false }
    }

    #[tokio::test]
    async fn a_room_has_so_many_emotes_each_with_its_newest_picture() {
        let (_site, rooms) = rooms().await;
        let put = async |name: &str, picture| rooms.put_emote(SITE, &emote(name, picture), 2).await.unwrap();
        assert!(matches!(put("boat", 1).await, Put::There(room, None) if room.emotes_version == 1));
        assert!(matches!(put("oak", 2).await, Put::There(..)));
        assert_eq!(put("elm", 3).await, Put::TooMany);
        assert_eq!(rooms.state(SITE).await.unwrap().emotes_version, 2, "nothing is another one now");
        let Put::There(room, Some(old)) = put("boat", 4).await else { panic!() };
        assert_eq!((old, room.emotes), (emote("boat", 1), vec![emote("boat", 4), emote("oak", 2)]));
        let (room, gone) = rooms.remove_emote(SITE, "boat").await.unwrap().unwrap();
        assert_eq!((gone, room.emotes_version), (emote("boat", 4), 4));
        assert_eq!(rooms.remove_emote(SITE, "boat").await.unwrap(), None);
        assert_eq!(rooms.site_emotes().await.unwrap(), [emote("oak", 2)]);
    }
}
