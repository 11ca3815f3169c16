//! `/oauth/{provider}`, `/api/v1/oauth/providers`, `/api/v1/me/identities`: signing in with a provider.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use millrace_core::ids::{SessionId, UserId};
use millrace_http::problem::Problem;
use millrace_store::{Changes, Document, Kept, Order, Query as StoreQuery, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::confirmed_until;
use super::auth::{Banned, SessionOver, WrongLogin, banned, begin_session, second_factor};
use super::lists::limit_reached;
use super::path::Path;
use super::problems::{
    Anyone, Changed, FormTaken, JsonBody, LimitReached, Limited, NoSuchThing, SignedIn, Stored, problems,
};
use crate::ApiState;
use crate::accounts::{Identity, User};
use crate::auth::cookie::Cookie;
use crate::auth::limits::ClientAddress;
use crate::auth::people::{DISPLAY_NAME_MAX_CHARS, Me, time};
use crate::auth::secret::{random, same};
use crate::auth::{Input, Person, by_mail};
use crate::config::Registration;
use crate::error::ApiError;
use crate::mail::News;
use crate::oauth::ProviderError;
use crate::oauth::decide::{Decision, Profile, Refusal, confirms, decide, name_for};
use crate::oauth::flow::{Confirm, FLOW_AUDIENCE, FLOW_LIFETIME_S, Flow, HALF_AUDIENCE, Half, back_to};
use crate::oauth::provider::{Begun, Provider, Returned};

/// Names that are tried for a new account before we give up.
const NAME_ATTEMPTS: usize = 20;
/// Most identities of one person, whatever the settings were.
const IDENTITIES_MAX: usize = 100;
/// How often it is tried again when somebody else was faster.
const ATTEMPTS: usize = 20;
/// Where the second factor is asked for.
const CODE_PAGE: &str = "/login?step=code&next=";
/// Where a person reads why it did not work.
const LOGIN_PAGE: &str = "/login";
/// Where identities are linked.
const SETTINGS_PAGE: &str = "/settings";

/// A provider that this site takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderItem {
    /// Its name in addresses.
    #[schema(example = "google")]
    name: String,
    /// What the button says.
    #[schema(example = "Google")]
    label: String,
}

/// The providers that this site takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderList {
    /// In the order to show them.
    items: Vec<ProviderItem>,
}

/// A way in which the person signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityItem {
    /// Its id.
    id: String,
    /// The provider's name.
    provider: String,
    /// What the provider's button says.
    label: String,
    /// The address that the provider told.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// When it was linked.
    #[schema(value_type = String, format = "date-time")]
    linked_at: jiff::Timestamp,
}

/// The ways in which the person signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityList {
    /// In the order in which they were linked.
    items: Vec<IdentityItem>,
    /// Whether there is a password too.
    password: bool,
    /// Until when no password is asked for, because a provider has just said who sits there; absent if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    confirmed_until: Option<jiff::Timestamp>,
}

/// Where the browser goes next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Onward {
    /// The provider's page.
    url: String,
}

/// The query of a start.
#[derive(Debug, Deserialize)]
pub struct StartQuery {
    #[serde(default)]
    back: Option<String>,
}

problems! {
    /// Asks the provider.
    ProviderAway => [provider_unreachable()];
    /// Nobody locks themselves out.
    LastWayIn => [last_way_in()];
}

/// Lists the providers that this site takes.
#[utoipa::path(get, path = "/api/v1/oauth/providers", operation_id = "listProviders", tag = "Signing in",
    security(()),
    responses((status = 200, description = "The providers", body = ProviderList)))]
pub(crate) async fn providers(State(state): State<ApiState>) -> Json<ProviderList> {
    let items = state.providers().labels().map(|(name, label)| ProviderItem { name: name.to_owned(), label });
    Json(ProviderList { items: items.collect() })
}

/// Sends the browser to the provider, to sign in there. For browsers.
#[utoipa::path(get, path = "/oauth/{provider}", operation_id = "beginProviderSignIn", tag = "Signing in",
    security(()),
    params(("provider" = String, Path, description = "The provider's name", example = "google"),
           ("back" = Option<String>, Query, description = "The page of this site to come back to", example = "/dashboard")),
    responses(
        (status = 303, description = "To the provider, or to the page that says why not",
            headers(("location" = String, description = "Where to"))),
        NoSuchThing,
    ))]
pub(crate) async fn start(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    query: Result<Query<StartQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let back = query.ok().and_then(|Query(query)| query.back);
    let back = back_to(back.as_deref());
    match begin(&state, &name, back, &headers, false).await {
        Ok(Begun { url, flow }) => {
            let cookie = flow_cookie(&state, &flow);
            (AppendHeaders([(header::SET_COOKIE, cookie), no_store()]), Redirect::to(&url)).into_response()
        }
        Err(why) => failed(LOGIN_PAGE, why),
    }
}

/// Links another way of signing in to the person's account: where the browser goes for it.
#[utoipa::path(post, path = "/api/v1/me/identities/{which}", operation_id = "linkIdentity", tag = "Account",
    security(("session" = [])),
    params(("which" = String, Path, description = "The provider's name", example = "google")),
    responses(
        (status = 200, description = "Send the browser to this address", body = Onward),
        SignedIn, NoSuchThing, LimitReached, ProviderAway,
    ))]
pub(crate) async fn link(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    person.require_session()?;
    let limit = state.accounts().max_identities;
    if of(&state, person.user).await?.len() >= limit {
        return Err(limit_reached("linked accounts of providers", limit).into());
    }
    let begun = begin(&state, &name, SETTINGS_PAGE, &headers, false).await;
    let Begun { url, mut flow } = begun.map_err(not_begun)?;
    flow.link = Some(person.user);
    Ok((AppendHeaders([(header::SET_COOKIE, flow_cookie(&state, &flow))]), Json(Onward { url }))
        .into_response())
}

/// Sends the person to a linked provider once more, to show that it is the same person: for some minutes, what else takes
/// the password takes none. Where the browser goes for it.
#[utoipa::path(post, path = "/api/v1/me/identities/{which}/confirm", operation_id = "confirmIdentity", tag = "Account",
    security(("session" = [])),
    params(("which" = String, Path, description = "The provider's name", example = "google")),
    responses(
        (status = 200, description = "Send the browser to this address", body = Onward),
        SignedIn, NoSuchThing, ProviderAway,
    ))]
pub(crate) async fn confirm(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let session = person.require_session()?;
    if !of(&state, person.user).await?.iter().any(|identity| identity.provider == name) {
        return Err(Problem::not_found().into());
    }
    let begun = begin(&state, &name, SETTINGS_PAGE, &headers, true).await;
    let Begun { url, mut flow } = begun.map_err(not_begun)?;
    flow.confirm = Some(Confirm { session, asked_at: state.now_ms() / 1000 });
    Ok((AppendHeaders([(header::SET_COOKIE, flow_cookie(&state, &flow))]), Json(Onward { url }))
        .into_response())
}

/// The second factor of somebody whom a provider has let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorCode {
    /// Six digits, or a recovery code.
    #[schema(example = "123456")]
    code: String,
}

/// Takes the second factor of somebody whom a provider has let in, and signs in.
#[utoipa::path(post, path = "/api/v1/auth/second-factor", operation_id = "finishSignIn", tag = "Signing in",
    security(()),
    request_body = SecondFactorCode,
    responses(
        (status = 200, description = "Signed in; cookies are set", body = Me),
        FormTaken, JsonBody, Limited, WrongLogin, SessionOver, Banned, Changed, Stored,
    ))]
pub(crate) async fn finish_half(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    input: Input<SecondFactorCode>,
) -> Result<Response, ApiError> {
    let now = state.now_ms();
    state.limits().attempt(address, now)?;
    let over = || {
        let detail = "That took too long. Sign in with the provider again.";
        Problem::new(StatusCode::UNAUTHORIZED, "session-ended", "Session ended", detail)
    };
    let token = Cookie::Half.read(&headers, state.secure()).ok_or_else(over)?;
    let Half { half } = state.keys().verify(HALF_AUDIENCE, token, now).await.map_err(|_| over())?;
    let user = state.people().get(half).await?.ok_or_else(over)?;
    if user.banned_at.is_some() {
        return Err(banned().into());
    }
    let two_factor = second_factor(&state, user.id, Some(&input.value.code)).await?;
    let mut response = HeaderMap::new();
    begin_confirmed(&state, &user, &headers, &mut response).await?;
    response.append(header::SET_COOKIE, Cookie::Half.set("", 0, state.secure()));
    let answer = (StatusCode::OK, response, Json(Me::new(user.value, two_factor)));
    Ok(Input::<()>::answer(input.form, "/", answer))
}

/// Begins a session of somebody of whom a provider has just said who it is.
async fn begin_confirmed(
    state: &ApiState,
    user: &User,
    headers: &HeaderMap,
    response: &mut HeaderMap,
) -> Result<(), ApiError> {
    let session = SessionId(state.new_id());
    begin_session(state, user, session, headers, response).await?;
    Ok(state.sessions().confirm(session, state.now_ms()).await?)
}

fn not_begun(why: Why) -> Problem {
    match why {
        Why::NoProvider => Problem::not_found(),
        _ => provider_unreachable(),
    }
}

/// Takes the browser back from the provider, and signs in. For browsers.
#[utoipa::path(get, path = "/oauth/{provider}/callback", operation_id = "endProviderSignIn", tag = "Signing in",
    security(()),
    params(("provider" = String, Path, description = "The provider's name", example = "google"),
           ("code" = Option<String>, Query, description = "From the provider"),
           ("state" = Option<String>, Query, description = "From the provider: what it was sent"),
           ("error" = Option<String>, Query, description = "From the provider: why not")),
    responses(
        (status = 303, description = "To the page where it began, or to the page that says why not",
            headers(("location" = String, description = "Where to"))),
        Anyone, NoSuchThing,
    ))]
pub(crate) async fn callback(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    returned: Result<Query<Returned>, QueryRejection>,
    person: Option<Person>,
    headers: HeaderMap,
) -> Response {
    let Query(returned) = returned.unwrap_or_default();
    // Whatever comes of it, the cookie is used up.
    let forget = (header::SET_COOKIE, Cookie::Login.set("", 0, state.secure()));
    let flow = taken_flow(&state, &name, &returned, &headers).await;
    let signed_in = |flow: &Flow| flow.link.is_some() || flow.confirm.is_some();
    let page = if flow.as_ref().is_ok_and(signed_in) { SETTINGS_PAGE } else { LOGIN_PAGE };
    let done = match flow {
        Ok(flow) => finish(&state, &name, &flow, &returned, person, &headers).await,
        Err(why) => Err(why),
    };
    let response = done.unwrap_or_else(|why| failed(page, why));
    (AppendHeaders([forget, no_store()]), response).into_response()
}

/// Lists the ways in which the person signs in.
#[utoipa::path(get, path = "/api/v1/me/identities", operation_id = "listIdentities", tag = "Account",
    security(("session" = [])),
    responses((status = 200, description = "The ways of signing in", body = IdentityList), SignedIn))]
pub(crate) async fn identities(
    State(state): State<ApiState>,
    person: Person,
) -> Result<Json<IdentityList>, ApiError> {
    person.require_session()?;
    let user = state.store().get::<User>(&person.user.to_string()).await?;
    let items = of(&state, person.user).await?.into_iter().map(|identity| IdentityItem {
        id: identity.id(),
        label: label(&state, &identity.provider),
        provider: identity.value.provider,
        email: identity.value.email.map(String::from),
        linked_at: time(identity.value.linked_at),
    });
    let password = user.is_some_and(|user| user.password.is_some());
    let confirmed_until = confirmed_until(&state, &person).await?.map(time);
    Ok(Json(IdentityList { items: items.collect(), password, confirmed_until }))
}

/// Takes a way of signing in away from the person's account.
#[utoipa::path(delete, path = "/api/v1/me/identities/{which}", operation_id = "unlinkIdentity", tag = "Account",
    security(("session" = [])),
    params(("which" = String, Path, description = "The identity's id")),
    responses((status = 204, description = "It is gone"), SignedIn, NoSuchThing, LastWayIn, Changed))]
pub(crate) async fn unlink(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let user = state.store().get::<User>(&person.user.to_string()).await?;
    let all = of(&state, person.user).await?;
    let identity = all.iter().find(|identity| identity.id() == id).ok_or_else(Problem::not_found)?;
    if all.len() == 1 && user.is_none_or(|user| user.password.is_none()) {
        return Err(last_way_in().into());
    }
    state.store().commit(Changes::new().delete(identity)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn provider_unreachable() -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "provider-unreachable",
        "Provider unreachable",
        "The provider does not answer right now. Try again in a few minutes.",
    )
}

fn last_way_in() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "last-way-in",
        "Last way in",
        "Nothing else would let you in. Set a password first, or link another provider.",
    )
}

/// Why a browser is sent back without anything done.
#[derive(Debug)]
enum Why {
    NoProvider,
    /// The browser did not begin this here, or too long ago.
    NotBegun,
    /// The person said no at the provider.
    Denied,
    Provider(ProviderError),
    Refused(Refusal),
    /// The store did not do it; the log says why.
    Failed,
}

impl From<StoreError> for Why {
    fn from(error: StoreError) -> Self {
        // Which logs it.
        drop(ApiError::from(error));
        Self::Failed
    }
}

impl Why {
    /// For the page, which has the sentence.
    fn slug(&self) -> String {
        match self {
            Self::NoProvider => "provider-unknown".to_owned(),
            Self::NotBegun => "provider-expired".to_owned(),
            Self::Denied => "provider-denied".to_owned(),
            Self::Provider(ProviderError::Unreachable(_)) => "provider-unreachable".to_owned(),
            Self::Provider(ProviderError::Wrong(_)) => "provider-failed".to_owned(),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Failed => "failed".to_owned(),
        }
    }
}

fn failed(page: &str, why: Why) -> Response {
    if let Why::Provider(error) = &why {
        tracing::warn!(err = %error, "signing in with a provider failed");
    }
    Redirect::to(&format!("{page}?problem={}", why.slug())).into_response()
}

fn no_store() -> (HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

/// What the provider's button says; its name, if it is configured no more.
fn label(state: &ApiState, provider: &str) -> String {
    let known = state.providers().labels().find(|(name, _)| *name == provider);
    known.map_or_else(|| provider.to_owned(), |(_, label)| label)
}

async fn of(state: &ApiState, user: UserId) -> Result<Vec<Kept<Identity>>, StoreError> {
    let query =
        StoreQuery::with("user", user.to_string(), IDENTITIES_MAX).ordered("linked_at", Order::Ascending);
    state.store().find(&query).await
}

/// Our callback, as the provider knows it.
fn redirect_address(state: &ApiState, provider: &str, headers: &HeaderMap) -> String {
    let site = state.public_url().map_or_else(
        || {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("{}://{host}", if state.secure() { "https" } else { "http" })
        },
        str::to_owned,
    );
    format!("{site}/oauth/{provider}/callback")
}

fn provider<'a>(state: &'a ApiState, name: &str) -> Result<&'a Provider, Why> {
    state.providers().get(name).ok_or(Why::NoProvider)
}

async fn begin(
    state: &ApiState,
    name: &str,
    back: &str,
    headers: &HeaderMap,
    again: bool,
) -> Result<Begun, Why> {
    let redirect = redirect_address(state, name, headers);
    provider(state, name)?.begin(name, &redirect, back, again).await.map_err(Why::Provider)
}

fn flow_cookie(state: &ApiState, flow: &Flow) -> HeaderValue {
    let token = state.keys().sign(FLOW_AUDIENCE, flow, state.now_ms(), FLOW_LIFETIME_S);
    Cookie::Login.set(&token, FLOW_LIFETIME_S, state.secure())
}

/// What this browser began with this provider, if that is what comes back.
async fn taken_flow(
    state: &ApiState,
    name: &str,
    returned: &Returned,
    headers: &HeaderMap,
) -> Result<Flow, Why> {
    let token = Cookie::Login.read(headers, state.secure()).ok_or(Why::NotBegun)?;
    let flow: Flow =
        state.keys().verify(FLOW_AUDIENCE, token, state.now_ms()).await.map_err(|_| Why::NotBegun)?;
    let ours = returned.state.as_deref().is_some_and(|state| same(state.as_bytes(), flow.state.as_bytes()));
    if ours && flow.provider == name { Ok(flow) } else { Err(Why::NotBegun) }
}

async fn finish(
    state: &ApiState,
    name: &str,
    flow: &Flow,
    returned: &Returned,
    person: Option<Person>,
    headers: &HeaderMap,
) -> Result<Response, Why> {
    if let Some(error) = &returned.error {
        let why = if error == "access_denied" {
            Why::Denied
        } else {
            Why::Provider(ProviderError::Wrong(error.chars().take(64).collect()))
        };
        return Err(why);
    }
    // The account that asked must still be the one in front of the screen.
    if flow.link.is_some() && person.as_ref().map(|person| person.user) != flow.link {
        return Err(Why::NotBegun);
    }
    let session = person.as_ref().and_then(|person| person.session);
    if flow.confirm.is_some_and(|confirm| session != Some(confirm.session)) {
        return Err(Why::NotBegun);
    }
    let redirect = redirect_address(state, name, headers);
    let profile = provider(state, name)?.finish(flow, &redirect, returned).await.map_err(Why::Provider)?;
    let owner = match state.store().get::<Identity>(&Identity::id_of(name, &profile.subject)).await? {
        Some(identity) => state.store().get::<User>(&identity.user.to_string()).await?,
        None => None,
    };
    if let (Some(confirm), Some(person)) = (flow.confirm, person) {
        let owner = owner.as_ref().map(|owner| &owner.value);
        confirms(&profile, owner, person.user, confirm.asked_at).map_err(Why::Refused)?;
        state.sessions().confirm(confirm.session, state.now_ms()).await?;
        return Ok(Redirect::to(&flow.back).into_response());
    }
    let namesake = match &profile.email {
        Some(email) => state.store().find_one::<User>("email", email.as_str()).await?,
        None => None,
    };
    let may_register = state.site().registration() == Registration::Open;
    let value = |user: &Option<Kept<User>>| user.as_ref().map(|user| user.value.clone());
    let decision =
        decide(&profile, value(&owner).as_ref(), value(&namesake).as_ref(), flow.link, may_register);
    let user = match decision {
        Decision::Refuse(refusal) => return Err(Why::Refused(refusal)),
        Decision::SignIn { user, attach } => {
            if attach {
                attach_identity(state, name, &profile, user).await?;
                if let Some(user) = state.people().get(user).await? {
                    by_mail::notify(state, &user, News::ProviderLinked(label(state, name))).await;
                }
            }
            if flow.link.is_some() {
                return Ok(Redirect::to(&flow.back).into_response());
            }
            user
        }
        Decision::Register => register(state, name, &profile).await?,
    };
    let user = state.store().get::<User>(&user.to_string()).await?.ok_or(Why::NotBegun)?;
    if state.people().second_factor(user.id).await?.is_some_and(|factor| factor.confirmed) {
        let half = Half { half: user.id };
        let token = state.keys().sign(HALF_AUDIENCE, half, state.now_ms(), FLOW_LIFETIME_S);
        let cookie = Cookie::Half.set(&token, FLOW_LIFETIME_S, state.secure());
        let next = serde_urlencoded::to_string([("", &flow.back)]).map_err(|_| Why::Failed)?;
        let page = format!("{CODE_PAGE}{}", next.trim_start_matches('='));
        return Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(&page)).into_response());
    }
    let mut response = Redirect::to(&flow.back).into_response();
    begin_confirmed(state, &user, headers, response.headers_mut()).await.map_err(|_| Why::Failed)?;
    Ok(response)
}

fn identity(state: &ApiState, name: &str, profile: &Profile, user: UserId) -> Identity {
    Identity {
        provider: name.to_owned(),
        subject: profile.subject.clone(),
        user,
        email: profile.email.clone(),
        linked_at: state.now_ms(),
    }
}

async fn attach_identity(state: &ApiState, name: &str, profile: &Profile, user: UserId) -> Result<(), Why> {
    let identity = identity(state, name, profile, user);
    for _ in 0..ATTEMPTS {
        let owner = state.people().get(user).await?.ok_or(Why::NotBegun)?;
        if of(state, user).await?.len() >= state.accounts().max_identities {
            return Err(Why::Refused(Refusal::TooMany));
        }
        // The person is written with it: of two at once only one has counted right.
        let changes = Changes::new().replace(&owner, &owner.value).insert(&identity);
        match state.store().commit(changes).await {
            Err(StoreError::Stale { .. }) => {}
            Err(StoreError::Conflict { .. }) => return Err(Why::Refused(Refusal::IdentityTaken)),
            done => return Ok(done?),
        }
    }
    Err(Why::Failed)
}

async fn register(state: &ApiState, name: &str, profile: &Profile) -> Result<UserId, Why> {
    for attempt in 0..NAME_ATTEMPTS {
        let chosen = name_for(profile, attempt, u16::from_be_bytes(random()));
        let _turn = state.names().take(chosen.as_str()).await;
        match state.people().require_free_name(&chosen).await {
            Err(taken) if taken.0.status() == StatusCode::CONFLICT => continue,
            Err(_) => return Err(Why::Failed),
            Ok(()) => {}
        }
        let display_name = profile.display_name.clone().unwrap_or_else(|| chosen.to_string());
        // An address that nobody has seen the person read is not kept: it may be a stranger's.
        let email = profile.email.clone().filter(|_| profile.email_verified);
        let user = User {
            id: UserId(state.new_id()),
            name: chosen,
            display_name: display_name.chars().take(DISPLAY_NAME_MAX_CHARS).collect(),
            email_verified: email.is_some(),
            new_email: None,
            email,
            password: None,
            role: state.site().streaming().new_account(),
            bio: String::new(),
            avatar: None,
            created_at: state.now_ms(),
            banned_at: None,
        };
        let identity = identity(state, name, profile, user.id);
        match state.store().commit(Changes::new().insert(&user).insert(&identity)).await {
            Err(error) if error.is_conflict("name") => {}
            Err(error) if error.is_conflict("email") => return Err(Why::Refused(Refusal::EmailTaken)),
            Err(error) if error.is_conflict("id") => return Err(Why::Refused(Refusal::IdentityTaken)),
            done => {
                done?;
                if !state.people().came_too_late(&user).await? {
                    super::auth::registered(state, &user).await;
                    return Ok(user.id);
                }
                let gone = Changes::new().delete_id::<Identity>(identity.id());
                state.store().commit(gone.delete_id::<User>(user.id.to_string())).await?;
            }
        }
    }
    tracing::warn!(attempts = NAME_ATTEMPTS, "found no free name for somebody who came by a provider");
    Err(Why::Failed)
}
