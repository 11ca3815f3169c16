//! What the owner does to accounts on the server's command line, on the store itself.
#![expect(clippy::disallowed_methods, reason = "shell: the clock and ids of a command")]

use millrace_core::ids::{ChannelName, UserId};
use millrace_store::{Change, Store, StoreError};

use super::audit::Audit;
use super::links::{Links, Purpose, RESET_LIFETIME_MS};
use super::people::People;
use super::secret::Secret;
use super::sessions::Sessions;
use crate::accounts::{Email, Role, User};
use crate::error::ApiError;

/// Accounts, by hand.
#[derive(Debug)]
pub struct ByHand {
    store: Store,
    people: People,
    links: Links,
    sessions: Sessions,
}

impl ByHand {
    /// In this store.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let sessions = Sessions::open(store.clone()).await?;
        Ok(Self { people: People::new(store.clone()), links: Links::new(store.clone()), sessions, store })
    }

    /// Makes an account without a password; returns the token of the link that sets it.
    ///
    /// # Errors
    /// 409 when name or address are taken; those of the store.
    pub async fn create(
        &self,
        name: ChannelName,
        email: Option<Email>,
        role: Role,
    ) -> Result<Secret, ApiError> {
        let user = User {
            id: UserId(uuid::Uuid::now_v7()),
            display_name: name.to_string(),
            name,
            email,
            email_verified: false,
            new_email: None,
            password: None,
            role,
            bio: String::new(),
            avatar: None,
            created_at: now_ms(),
            banned_at: None,
        };
        self.people.create(&user, None).await?;
        self.note("user.create", &user).await?;
        Ok(self.reset_token(&user).await?)
    }

    /// Changes what a person may do, and ends the person's sessions: a running server learns of it within seconds.
    /// `false` if nobody is called so.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn set_role(&self, login: &str, role: Role) -> Result<bool, StoreError> {
        let Some(user) = self.people.by_login(login).await? else { return Ok(false) };
        let change = |user: User| Change::<_, ()>::To(User { role, ..user });
        let Some(Ok(user)) = self.store.update(&user.id.to_string(), change).await? else { return Ok(false) };
        for session in self.sessions.of(user.id, now_ms()).await? {
            self.sessions.end(session.id, now_ms()).await?;
        }
        self.note("user.role", &user).await?;
        Ok(true)
    }

    /// The token of a link that sets a new password. `None` if nobody is called so.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reset_password(&self, login: &str) -> Result<Option<Secret>, StoreError> {
        let Some(user) = self.people.by_login(login).await? else { return Ok(None) };
        self.note("user.reset_link", &user).await?;
        self.reset_token(&user).await.map(Some)
    }

    async fn reset_token(&self, user: &User) -> Result<Secret, StoreError> {
        self.links.make(Purpose::Reset, Some(user.id), now_ms().saturating_add(RESET_LIFETIME_MS)).await
    }

    async fn note(&self, action: &str, user: &User) -> Result<(), StoreError> {
        let entry = Audit {
            id: uuid::Uuid::now_v7(),
            at: now_ms(),
            by: None,
            action: action.into(),
            target: user.name.to_string(),
            detail: format!("{:?}", user.role).to_lowercase(),
            scope: "site".into(),
        };
        self.store.insert(&entry).await
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiState;
    use millrace_core::ids::SessionId;
    use millrace_store::Query;

    #[tokio::test]
    async fn accounts_are_made_and_changed_by_hand_and_it_is_logged() {
        let state = ApiState::for_tests().await;
        let by_hand = ByHand::open(state.store().clone()).await.unwrap();
        let ada: ChannelName = "ada".parse().unwrap();
        let token = by_hand.create(ada.clone(), None, Role::Viewer).await.unwrap();
        let link = state.links().find(Purpose::Reset, token.reveal(), now_ms()).await.unwrap();
        let user = state.people().by_login("ada").await.unwrap().unwrap();
        assert_eq!(link.unwrap().user, Some(user.id));
        assert!(by_hand.create(ada, None, Role::Viewer).await.is_err());
        let session = SessionId(uuid::Uuid::now_v7());
        state.sessions().begin(session, user.id, "x".into(), now_ms(), 60_000).await.unwrap();
        assert!(by_hand.set_role("ada", Role::Admin).await.unwrap());
        assert!(state.sessions().of(user.id, now_ms()).await.unwrap().is_empty());
        assert_eq!(state.people().by_login("ada").await.unwrap().unwrap().role, Role::Admin);
        assert!(by_hand.reset_password("ada").await.unwrap().is_some());
        assert!(!by_hand.set_role("eve", Role::Admin).await.unwrap());
        assert!(by_hand.reset_password("eve").await.unwrap().is_none());
        let log = state.store().find::<Audit>(&Query::with("scope", "site", 10)).await.unwrap();
        assert_eq!(log.len(), 3);
    }
}
