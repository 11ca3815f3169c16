//! Sans-IO: what it means here that a provider knows somebody.

use millrace_core::ids::{ChannelName, UserId};

use crate::accounts::{Email, User};

/// Longest name that is taken over; the rest is for a number that makes it unique.
const NAME_MAX: usize = 20;
/// When a provider says no name that could be one here.
const NAMELESS: &str = "viewer";

/// Who somebody is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The provider's own id of the person; never changes.
    pub subject: String,
    /// The address, if it was told.
    pub email: Option<Email>,
    /// Whether the provider has seen the person read mail there.
    pub email_verified: bool,
    /// How the person is called.
    pub display_name: Option<String>,
    /// How the person would like to be called.
    pub preferred_name: Option<String>,
    /// When the provider last asked for a password or the like, in seconds since 1970, if it says.
    pub authenticated_at: Option<i64>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Sign this account in; `attach` the identity first if it is not its own yet.
    SignIn {
        /// The account.
        user: UserId,
        /// Whether it gets this identity.
        attach: bool,
    },
    /// Make an account.
    Register,
    /// Nothing: this is why.
    Refuse(Refusal),
}

/// Why somebody whom a provider knows does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The identity belongs to another account.
    #[error("identity-taken")]
    IdentityTaken,
    /// The address belongs to an account that has not shown to own it, or the provider has not seen it: whoever made
    /// that account could otherwise be let into this person's, or the other way round.
    #[error("email-taken")]
    EmailTaken,
    /// New accounts are not made.
    #[error("registration-closed")]
    RegistrationClosed,
    /// The account is banned.
    #[error("banned")]
    Banned,
    /// The account has as many identities as it may.
    #[error("too-many-identities")]
    TooMany,
    /// Another one came back from the provider than the account knows.
    #[error("identity-other")]
    AnotherPerson,
    /// The provider was to ask again, and says that it did not.
    #[error("provider-not-again")]
    NotAgain,
}

/// How much the clocks of the provider and this site may differ, in seconds.
const CLOCKS_DIFFER_S: i64 = 60;

/// Whether the provider has said that `person`, who asked at `asked_at` (seconds since 1970), sits there. `owner`: the
/// account that has the identity. A provider that does not say when it last asked is believed.
///
/// # Errors
/// Why not.
pub fn confirms(
    profile: &Profile,
    owner: Option<&User>,
    person: UserId,
    asked_at: i64,
) -> Result<(), Refusal> {
    if owner.is_none_or(|owner| owner.id != person) {
        return Err(Refusal::AnotherPerson);
    }
    match profile.authenticated_at {
        Some(at) if at.saturating_add(CLOCKS_DIFFER_S) < asked_at => Err(Refusal::NotAgain),
        _ => Ok(()),
    }
}

/// Decides. `owner`: the account that has the identity; `namesake`: the account that has the address; `link`: the
/// account that asked to be linked.
#[must_use]
pub fn decide(
    profile: &Profile,
    owner: Option<&User>,
    namesake: Option<&User>,
    link: Option<UserId>,
    may_register: bool,
) -> Decision {
    if let Some(link) = link {
        return match owner {
            Some(owner) if owner.id != link => Decision::Refuse(Refusal::IdentityTaken),
            owner => Decision::SignIn { user: link, attach: owner.is_none() },
        };
    }
    if let Some(owner) = owner {
        return signed_in(owner, false);
    }
    match namesake {
        Some(namesake) if profile.email_verified && namesake.email_verified => signed_in(namesake, true),
        Some(_) => Decision::Refuse(Refusal::EmailTaken),
        None if may_register => Decision::Register,
        None => Decision::Refuse(Refusal::RegistrationClosed),
    }
}

fn signed_in(user: &User, attach: bool) -> Decision {
    if user.banned_at.is_some() {
        return Decision::Refuse(Refusal::Banned);
    }
    Decision::SignIn { user: user.id, attach }
}

/// A name for a new account, the `attempt`th one: as the person is called elsewhere, then with `number` behind it.
#[must_use]
pub fn name_for(profile: &Profile, attempt: usize, number: u16) -> ChannelName {
    let mailbox = profile.email.as_ref().and_then(|email| email.as_str().split('@').next());
    let wishes = [profile.preferred_name.as_deref(), mailbox, profile.display_name.as_deref()];
    let base = wishes
        .into_iter()
        .flatten()
        .map(|wish| {
            let plain = wish.chars().map(|c| if c.is_whitespace() || "-.".contains(c) { '_' } else { c });
            let plain = plain.flat_map(char::to_lowercase);
            let name: String = plain
                .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
                .take(NAME_MAX)
                .collect();
            name.trim_matches('_').to_owned()
        })
        .find(|name| name.len() >= 3)
        .unwrap_or_else(|| NAMELESS.to_owned());
    let name = if attempt == 0 { base } else { format!("{base}{:04}", number % 10_000) };
    name.parse().expect("3 to 24 of a-z, 0-9 and _")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Role;

    fn user(number: u128, email_verified: bool) -> User {
        User {
            id: UserId(uuid::Uuid::from_u128(number)),
            name: "ada".parse().unwrap(),
            display_name: "Ada".into(),
            email: "ada@example.org".parse().ok(),
            email_verified,
            new_email: None,
            password: None,
            role: Role::Viewer,
            bio: String::new(),
            avatar: None,
            created_at: 0,
            banned_at: None,
        }
    }

    fn profile(email_verified: bool) -> Profile {
        Profile {
            subject: "1".into(),
            email: "ada@example.org".parse().ok(),
            email_verified,
            display_name: Some("Ada Lovelace".into()),
            preferred_name: None,
            authenticated_at: None,
        }
    }

    #[test]
    fn only_the_same_person_who_was_asked_again_confirms() {
        let (ada, eve) = (user(1, true), user(2, true));
        let at = |authenticated_at| Profile { authenticated_at, ..profile(true) };
        assert_eq!(confirms(&at(None), Some(&ada), ada.id, 1_000), Ok(()));
        assert_eq!(confirms(&at(Some(1_001)), Some(&ada), ada.id, 1_000), Ok(()));
        assert_eq!(confirms(&at(Some(950)), Some(&ada), ada.id, 1_000), Ok(()), "clocks differ");
        assert_eq!(confirms(&at(Some(900)), Some(&ada), ada.id, 1_000), Err(Refusal::NotAgain));
        assert_eq!(confirms(&at(None), Some(&eve), ada.id, 1_000), Err(Refusal::AnotherPerson));
        assert_eq!(confirms(&at(None), None, ada.id, 1_000), Err(Refusal::AnotherPerson));
    }

    #[test]
    fn an_address_leads_into_an_account_only_if_both_sides_have_seen_it() {
        let decide_for = |provider, here| decide(&profile(provider), None, Some(&user(1, here)), None, true);
        let taken = Decision::Refuse(Refusal::EmailTaken);
        assert_eq!(decide_for(true, true), Decision::SignIn { user: user(1, true).id, attach: true });
        assert_eq!(decide_for(true, false), taken, "somebody may have registered with a stranger's address");
        assert_eq!(
            decide_for(false, true),
            taken,
            "somebody may have told the provider a stranger's address"
        );
    }

    #[test]
    fn an_identity_is_its_owners_whatever_the_address_says() {
        let (owner, other) = (user(1, true), user(2, true));
        let found = decide(&profile(true), Some(&owner), Some(&other), None, true);
        assert_eq!(found, Decision::SignIn { user: owner.id, attach: false });
        let stolen = decide(&profile(true), Some(&owner), None, Some(other.id), true);
        assert_eq!(stolen, Decision::Refuse(Refusal::IdentityTaken));
        let linked = decide(&profile(false), None, Some(&owner), Some(other.id), false);
        assert_eq!(linked, Decision::SignIn { user: other.id, attach: true });
    }

    #[test]
    fn strangers_register_if_they_may_and_the_banned_stay_out() {
        assert_eq!(decide(&profile(true), None, None, None, true), Decision::Register);
        let closed = Decision::Refuse(Refusal::RegistrationClosed);
        assert_eq!(decide(&profile(true), None, None, None, false), closed);
        let banned = User { banned_at: Some(1), ..user(1, true) };
        let out = Decision::Refuse(Refusal::Banned);
        assert_eq!(decide(&profile(true), Some(&banned), None, None, true), out);
        assert_eq!(decide(&profile(true), None, Some(&banned), None, true), out);
    }

    #[test]
    fn names_are_made_of_what_there_is() {
        let named = |preferred: &str, email: &str, display: &str| Profile {
            preferred_name: Some(preferred.into()),
            email: email.parse().ok(),
            display_name: Some(display.into()),
            ..profile(true)
        };
        assert_eq!(name_for(&named("Ada.Lovelace", "", ""), 0, 7).as_str(), "ada_lovelace");
        assert_eq!(name_for(&named("Ада", "a.l@x.org", "Ada L"), 0, 7).as_str(), "a_l");
        assert_eq!(name_for(&named("", "", "日本"), 0, 7).as_str(), "viewer");
        assert_eq!(name_for(&named("ada", "", ""), 1, 7).as_str(), "ada0007");
        assert!(name_for(&named(&"x".repeat(200), "", ""), 3, u16::MAX).as_str().len() <= 25);
    }
}
