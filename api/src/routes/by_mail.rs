//! What goes by mail: a new password for who forgot it, and the proof of an address.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::own;
use super::auth::{DeadLink, EmailTaken};
use super::problems::{Changed, FormTaken, JsonBody, Limited, SignedIn, Stored, problems};
use crate::ApiState;
use crate::auth::limits::ClientAddress;
use crate::auth::{Input, Person, by_mail};
use crate::error::ApiError;
use crate::mail::Errand;

/// Longest name or address.
const LOGIN_MAX_BYTES: usize = 254;

/// Whose password was forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// Name or e-mail address.
    #[schema(example = "ada")]
    login: String,
}

/// The proof of an address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressProof {
    /// Of the link.
    token: String,
}

/// What this site can do for who is not signed in.
#[derive(Serialize, ToSchema)]
pub struct SignInOptions {
    /// Whether it sends mail: links to a new password, and to prove an address.
    mail: bool,
}

problems! {
    /// Where mail is set up.
    NoMail => [by_mail::no_mail()];
    /// Mails wait in a queue of limited length.
    TooManyMails => [by_mail::too_many_mails()];
    /// There must be an address to prove.
    NothingToProve => [nothing_to_prove()];
}

/// What the pages of signing in offer.
#[utoipa::path(get, path = "/api/v1/auth/options", operation_id = "getSignInOptions", tag = "Signing in",
    security(()),
    responses((status = 200, description = "The options", body = SignInOptions)))]
pub(crate) async fn options(State(state): State<ApiState>) -> Json<SignInOptions> {
    Json(SignInOptions { mail: state.mail().is_some() })
}

/// Sends a link to a new password, if there is such an account and it has an address. The answer is the same and takes as
/// long if not.
#[utoipa::path(post, path = "/api/v1/auth/password/forgot", operation_id = "forgotPassword", tag = "Signing in",
    security(()),
    request_body = Forgotten,
    responses(
        (status = 202, description = "If there is such an account, a mail is on its way"),
        FormTaken, JsonBody, Limited, NoMail, TooManyMails, Stored,
    ))]
pub(crate) async fn forgot(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    input: Input<Forgotten>,
) -> Result<Response, ApiError> {
    let now = state.now_ms();
    state.limits().link(address, now)?;
    let post = state.mail().ok_or_else(by_mail::no_mail)?;
    let login = input.value.login;
    if login.len() <= LOGIN_MAX_BYTES && !post.send(&state, Errand::NewPassword { login }).await? {
        return Err(by_mail::too_many_mails().into());
    }
    Ok(Input::<()>::answer(input.form, "/login", StatusCode::ACCEPTED))
}

/// Takes the proof that a person reads the mail of an address; the account has it from now on.
#[utoipa::path(post, path = "/api/v1/auth/email/verify", operation_id = "verifyEmail", tag = "Signing in",
    security(()),
    request_body = AddressProof,
    responses(
        (status = 204, description = "The account has the address"),
        FormTaken, JsonBody, Limited, DeadLink, EmailTaken, Changed, Stored,
    ))]
pub(crate) async fn verify(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    input: Input<AddressProof>,
) -> Result<Response, ApiError> {
    state.limits().link(address, state.now_ms())?;
    by_mail::take_proof(&state, &input.value.token).await?;
    Ok(Input::<()>::answer(input.form, "/settings", StatusCode::NO_CONTENT))
}

/// Sends the link that proves the address of the account again.
#[utoipa::path(post, path = "/api/v1/me/email/verification", operation_id = "askForVerification", tag = "Account",
    security(("session" = [])),
    responses(
        (status = 202, description = "A mail is on its way"),
        SignedIn, Limited, NoMail, TooManyMails, NothingToProve,
    ))]
pub(crate) async fn ask_again(State(state): State<ApiState>, person: Person) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let user = own(&state, &person).await?.value;
    let unproved = user.email.clone().filter(|_| !user.email_verified);
    let address = user.new_email.clone().or(unproved).ok_or_else(nothing_to_prove)?;
    by_mail::ask_for_proof(&state, &user, address).await?;
    Ok(StatusCode::ACCEPTED)
}

fn nothing_to_prove() -> millrace_http::problem::Problem {
    millrace_http::problem::Problem::new(
        StatusCode::CONFLICT,
        "nothing-to-prove",
        "Nothing to prove",
        "The account has no address that waits for a proof.",
    )
}
