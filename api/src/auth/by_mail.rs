//! What of an account goes by mail: links that prove an address or set a password, and notices of what happened.

use axum::http::StatusCode;
use millrace_core::ids::UserId;
use millrace_http::problem::Problem;
use millrace_store::{Changes, Document, Kept, StoreError};

use super::invalid;
use super::links::{Link, Purpose};
use super::people::email_taken;
use crate::ApiState;
use crate::accounts::{Email, EmailError, User};
use crate::error::{ApiError, chain};
use crate::mail::{Errand, Letter, Mail, News, Subject};

/// What is sent for a mail that waits, with a new link if it has one: of the links of earlier tries each works too, because
/// a mail that seemed lost may come late. `None`: it is not wanted any more.
///
/// # Errors
/// Those of the store.
pub async fn letter(state: &ApiState, mail: &Mail) -> Result<Option<Letter>, StoreError> {
    match &mail.errand {
        Errand::NewPassword { login } => forgotten(state, login, mail.tries == 0).await,
        Errand::ConfirmAddress { user, address } => {
            let Some(user) = state.people().get(*user).await? else { return Ok(None) };
            if proved(&user, address).is_none() {
                return Ok(None);
            }
            let token = state.links().verifying(user.id, address.clone(), state.now_ms()).await?;
            let subject = Subject::ConfirmAddress(token);
            Ok(Some(Letter { to: address.clone(), name: user.name.to_string(), subject }))
        }
        Errand::News { to, name, news } => {
            let (to, name, subject) = (to.clone(), name.clone(), Subject::News(news.clone()));
            Ok(Some(Letter { to, name, subject }))
        }
    }
}

/// The mail for somebody who forgot the password of the account that `login` names. `None`: there is no such account, it
/// has no address, it is banned, or it had enough mails. Nobody who asks may learn which.
async fn forgotten(state: &ApiState, login: &str, first: bool) -> Result<Option<Letter>, StoreError> {
    let Some(user) = state.people().by_login(login).await?.filter(|user| user.banned_at.is_none()) else {
        return Ok(None);
    };
    let now = state.now_ms();
    let Some(to) = user.email.clone() else { return Ok(None) };
    if first && state.limits().mail(user.id, to.as_str(), now).is_err() {
        return Ok(None);
    }
    let token = state.links().resetting(user.id, to.clone(), now).await?;
    Ok(Some(Letter { to, name: user.name.to_string(), subject: Subject::NewPassword(token) }))
}

/// Sends the link that shows that a person reads the mail of an address.
///
/// # Errors
/// 429 when the account or the address had enough mails, 503 when too many wait; those of the store.
pub async fn ask_for_proof(state: &ApiState, user: &User, address: Email) -> Result<(), ApiError> {
    let Some(post) = state.mail() else { return Err(no_mail().into()) };
    let now = state.now_ms();
    state.limits().mail(user.id, address.as_str(), now)?;
    if post.send(state, Errand::ConfirmAddress { user: user.id, address }).await? {
        return Ok(());
    }
    Err(too_many_mails().into())
}

/// Tells a person what happened to the account, if it has an address and this site sends mail. What happened has happened:
/// a store that fails now is only logged.
pub async fn notify(state: &ApiState, user: &User, news: News) {
    let (Some(post), Some(to)) = (state.mail(), user.email.clone()) else { return };
    let errand = Errand::News { to, name: user.name.to_string(), news };
    if let Err(error) = post.send(state, errand).await {
        tracing::warn!(user.id = %user.id, err = %chain(&error), "a person is not told what happened to the account");
    }
}

/// An address that somebody wrote; `None` if the field is empty.
///
/// # Errors
/// 422 at `/email`.
pub fn address(email: Option<String>) -> Result<Option<Email>, Problem> {
    let email = email.filter(|email| !email.trim().is_empty()).map(|email| email.parse()).transpose();
    email.map_err(|error: EmailError| invalid("/email", format!("{error}.")))
}

/// Refuses an address that another account has shown to be its own; where no mail is sent, that any other has.
///
/// # Errors
/// 409; those of the store.
pub async fn require_free(state: &ApiState, email: &Email, by: Option<UserId>) -> Result<(), ApiError> {
    let holder = state.store().find_one::<User>("email", email.as_str()).await?;
    let theirs = holder.filter(|holder| Some(holder.id) != by);
    if theirs.is_some_and(|holder| holder.email_verified || state.mail().is_none()) {
        return Err(email_taken().into());
    }
    Ok(())
}

/// The account with an address that its person has proved; `None` if it wants another one by now.
fn proved(user: &User, email: &Email) -> Option<User> {
    let wanted = user.new_email.as_ref() == Some(email);
    let kept = user.email.as_ref() == Some(email);
    (wanted || kept).then(|| User {
        email: Some(email.clone()),
        email_verified: true,
        new_email: user.new_email.clone().filter(|_| !wanted),
        ..user.clone()
    })
}

/// Takes the proof of a link: the account has the address from now on. One that wrote it down without proof loses it.
///
/// # Errors
/// 403 when the link is dead, 409 when another account has proved it first; those of the store.
pub async fn take_proof(state: &ApiState, token: &str) -> Result<(), ApiError> {
    let link = state.links().find(Purpose::Verify, token, state.now_ms()).await?.ok_or_else(dead)?;
    let (Some(id), Some(email)) = (link.user, link.email.clone()) else { return Err(dead().into()) };
    let user = state.people().get(id).await?.ok_or_else(dead)?;
    let changed = proved(&user, &email).ok_or_else(dead)?;
    require_free(state, &email, Some(id)).await?;
    let mut changes = Changes::new();
    let holder = state.store().find_one::<User>("email", email.as_str()).await?;
    if let Some(holder) = holder.filter(|holder| holder.id != id) {
        changes = changes.replace(&holder, &User { email: None, ..holder.value.clone() });
    }
    let changes = changes.replace(&user, &changed).delete(&link);
    state.store().commit(changes).await.map_err(crate::auth::people::taken)?;
    if user.email.as_ref().is_some_and(|old| *old != email) {
        notify(state, &user, News::AddressChanged).await;
    }
    Ok(())
}

/// All links to a new password of an account, to be deleted with a change of the password.
///
/// # Errors
/// Those of the store.
pub async fn without_resets(state: &ApiState, user: UserId, changes: Changes) -> Result<Changes, StoreError> {
    let links: Vec<Kept<Link>> = state.links().resets_of(user).await?;
    Ok(links.iter().fold(changes, |changes, link| changes.delete_id::<Link>(link.id())))
}

fn dead() -> Problem {
    super::links::dead("Ask for a new one in your settings.")
}

/// 409 where no mail is sent.
#[must_use]
pub fn no_mail() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "no-mail",
        "No mail",
        "This site sends no mail. Ask an admin of it for a link that sets a new password.",
    )
}

/// 503 when too many mails wait.
#[must_use]
pub fn too_many_mails() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too-many-mails",
        "Too many mails",
        "Too many mails wait to be sent right now. Try again in a few minutes.",
    )
    .with_header(axum::http::header::RETRY_AFTER, axum::http::HeaderValue::from_static("120"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::testing::person;

    #[test]
    fn only_the_address_that_is_wanted_or_kept_is_proved() {
        let email = |text: &str| text.parse::<Email>().unwrap();
        let (old, new, other) = (email("old@x.org"), email("new@x.org"), email("other@x.org"));
        let user = User { email: Some(old.clone()), new_email: Some(new.clone()), ..person("ada") };
        let moved = proved(&user, &new).unwrap();
        assert_eq!((&moved.email, moved.email_verified, &moved.new_email), (&Some(new.clone()), true, &None));
        let kept = proved(&user, &old).unwrap();
        assert_eq!((&kept.email, kept.email_verified, &kept.new_email), (&Some(old), true, &Some(new)));
        assert_eq!(proved(&user, &other), None);
    }
}
