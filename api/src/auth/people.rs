//! Accounts: made, found, changed, removed.

use axum::http::StatusCode;
use jiff::Timestamp;
use millrace_core::ids::{ChannelName, UserId};
use millrace_http::problem::Problem;
use millrace_store::{Changes, Kept, Store, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use super::links::Link;
use super::totp::SecondFactor;
use crate::accounts::{Channel, Email, Role, User};
use crate::error::ApiError;

/// Most characters of a shown name.
pub const DISPLAY_NAME_MAX_CHARS: usize = 50;
/// Most characters of what a person says about themselves.
pub const BIO_MAX_CHARS: usize = 500;

/// The accounts of this site.
#[derive(Debug, Clone)]
pub struct People(Store);

/// The person who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    /// To sign in with.
    #[schema(value_type = String, example = "ada")]
    name: ChannelName,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    email: Option<Email>,
    email_verified: bool,
    /// The address that counts once its mail was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    new_email: Option<Email>,
    role: Role,
    bio: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    /// Whether a code is asked for at sign-in.
    two_factor: bool,
    /// Whether there is a password; who came by a provider has none.
    has_password: bool,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

impl Me {
    /// What a person sees of the own account.
    #[must_use]
    pub fn new(user: User, two_factor: bool) -> Self {
        Self {
            id: user.id,
            avatar_url: user.avatar.map(|avatar| format!("/avatars/{avatar}")),
            name: user.name,
            display_name: user.display_name,
            email: user.email,
            email_verified: user.email_verified,
            new_email: user.new_email,
            role: user.role,
            bio: user.bio,
            two_factor,
            has_password: user.password.is_some(),
            created_at: time(user.created_at),
        }
    }
}

/// A time that is kept, as it is told.
#[must_use]
pub fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl People {
    /// In this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// The account with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn get(&self, id: UserId) -> Result<Option<Kept<User>>, StoreError> {
        self.0.get(&id.to_string()).await
    }

    /// The account that somebody signs in to, by name or address.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_login(&self, login: &str) -> Result<Option<Kept<User>>, StoreError> {
        if let Ok(email) = login.parse::<Email>() {
            return self.0.find_one("email", email.as_str()).await;
        }
        match login.trim().to_lowercase().parse::<ChannelName>() {
            Ok(name) => self.0.find_one("name", name.as_str()).await,
            Err(_) => Ok(None),
        }
    }

    /// Whether nobody has this name: no person, and no channel of another one.
    ///
    /// # Errors
    /// 409 if somebody has; those of the store.
    pub async fn require_free_name(&self, name: &ChannelName) -> Result<(), ApiError> {
        let person = self.0.find_one::<User>("name", name.as_str()).await?.is_some();
        if person || self.0.find_one::<Channel>("name", name.as_str()).await?.is_some() {
            return Err(name_taken().into());
        }
        Ok(())
    }

    /// Makes an account, and uses up the link that allowed it.
    ///
    /// # Errors
    /// 409 when name or address are taken; those of the store.
    pub async fn create(&self, user: &User, link: Option<&Kept<Link>>) -> Result<(), ApiError> {
        // Who has a channel of that name is known by it.
        if self.0.find_one::<Channel>("name", user.name.as_str()).await?.is_some() {
            return Err(name_taken().into());
        }
        let changes = Changes::new().insert(user);
        let changes = match link {
            Some(link) => changes.delete(link),
            None => changes,
        };
        self.0.commit(changes).await.map_err(taken)?;
        if self.came_too_late(user).await? {
            self.0.commit(Changes::new().delete_id::<User>(user.id.to_string())).await?;
            return Err(name_taken().into());
        }
        Ok(())
    }

    /// Whether another person's channel got the name of a new account at the same moment. Whoever makes a channel looks for
    /// a person after writing it, and we for the channel after writing the person: one of us sees the other.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn came_too_late(&self, user: &User) -> Result<bool, StoreError> {
        let channel = self.0.find_one::<Channel>("name", user.name.as_str()).await?;
        Ok(channel.is_some_and(|channel| channel.owner != user.id))
    }

    /// Writes a changed account in the place of what was read.
    ///
    /// # Errors
    /// 409 when the address is taken or somebody was faster; those of the store.
    pub async fn replace(&self, read: &Kept<User>, user: &User) -> Result<(), ApiError> {
        self.0.commit(Changes::new().replace(read, user)).await.map_err(taken)
    }

    /// The second factor of a person, confirmed or not.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn second_factor(&self, id: UserId) -> Result<Option<Kept<SecondFactor>>, StoreError> {
        self.0.get(&id.to_string()).await
    }

    /// Whether there is an account at all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        Ok(self.0.find_one::<User>("role", "admin").await?.is_some())
    }
}

/// What is taken, where two wanted the same.
pub(crate) fn taken(error: StoreError) -> ApiError {
    if error.is_conflict("name") {
        return name_taken().into();
    }
    if error.is_conflict("email") {
        return email_taken().into();
    }
    error.into()
}

/// 409 for an address that another account has.
#[must_use]
pub fn email_taken() -> Problem {
    conflict(
        "email-taken",
        "Address taken",
        "There is an account with this e-mail address. Sign in to it, or set a new password for it.",
        "/email",
    )
}

pub(crate) fn name_taken() -> Problem {
    conflict("name-taken", "Name taken", "Somebody has this name already. Choose another one.", "/name")
}

fn conflict(slug: &'static str, title: &'static str, detail: &str, pointer: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, slug, title, detail).with_error(pointer, detail)
}
