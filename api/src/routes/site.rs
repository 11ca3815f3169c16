//! `/api/v1/site`, and how admins change it: `/api/v1/admin/site`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::lists::{Asked, Page, cursor, invalid_fields, private, time};
use super::params::Paging;
use super::path::Path;
use super::problems::{Changed, InvalidFields, JsonBody, Paged, SignedIn, problems};
use super::profile::Profile;
use crate::ApiState;
use crate::accounts::User;
use crate::auth::csrf::host_of;
use crate::auth::{Input, Person};
use crate::config::Registration;
use crate::error::ApiError;
use crate::site::{By, Known, SiteChange, SiteEdit, SiteError, SiteValues, Streaming, changed};

/// What everybody may know may be kept for a moment.
const CACHE_BRIEFLY: HeaderValue = HeaderValue::from_static("private, max-age=5");

/// What this site is.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteView {
    /// What it is called.
    #[schema(example = "Boatyard live")]
    name: String,
    /// What it is about; empty if not said.
    description: String,
    /// Who may register.
    registration: Registration,
    /// Who may stream.
    streaming: Streaming,
    /// BCP 47: what a new channel is in; empty if not said.
    #[schema(example = "en")]
    language: String,
    /// What channels may say they are about; anything if empty.
    #[schema(example = json!(["Crafts", "Music"]))]
    categories: Vec<String>,
    /// What holds here, in plain text; empty for none.
    rules: String,
    /// Where more of it is written; empty for nowhere.
    #[schema(example = "https://example.org/terms")]
    rules_url: String,
    /// Whom to ask; empty for nobody.
    #[schema(example = "help@example.org")]
    contact: String,
    /// Where encoders publish to, the safest first.
    #[schema(example = json!(["rtmp://live.example.org:1935/live"]))]
    servers: Vec<String>,
}

/// The settings as admins see them.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteSettings {
    /// Grows with each change; send it with the next one.
    version: i64,
    /// What admins said.
    values: SiteValues,
    /// Who may register as it stands: what admins said, or else the configuration.
    registration: Registration,
    /// Who may stream as it stands.
    streaming: Streaming,
}

/// A change of the settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteChangeView {
    /// The version that it made.
    number: i64,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// Who made it; absent if the account is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Profile>,
    /// The settings that changed.
    #[schema(example = json!(["name"]))]
    changed: Vec<&'static str>,
    /// What held before it.
    before: SiteValues,
    /// What held after it.
    after: SiteValues,
}

fn settings(state: &ApiState, known: &Known) -> SiteSettings {
    let site = state.site();
    SiteSettings {
        version: known.version,
        values: known.values.clone(),
        registration: site.registration(),
        streaming: site.streaming(),
    }
}

problems! {
    /// Names a change.
    NoSuchChange => [no_such_change()];
}

fn no_such_change() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-change",
        "No such change",
        "There is no change with this number. Look for it in the history of the settings.",
    )
}

fn refused(error: SiteError) -> ApiError {
    match error {
        SiteError::Changed { .. } => crate::error::changed_meanwhile().into(),
        SiteError::NoSuchChange => no_such_change().into(),
        SiteError::Store(error) => error.into(),
    }
}

fn by(state: &ApiState, person: &Person) -> By {
    By { person: person.user, now_ms: state.now_ms(), audit: state.new_id() }
}

/// Says what this site is: its name, its rules, who may register, where encoders publish to.
#[utoipa::path(get, path = "/api/v1/site", operation_id = "getSite", tag = "Server",
    security(()),
    responses((status = 200, description = "The site", body = SiteView)))]
pub(crate) async fn show(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let site = state.site();
    let SiteValues { name, description, language, categories, rules, rules_url, contact, .. } =
        site.known().values.clone();
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = state.public_url().and_then(host_of).or(asked).unwrap_or("localhost");
    let view = SiteView {
        name,
        description,
        registration: site.registration(),
        streaming: site.streaming(),
        language,
        categories,
        rules,
        rules_url,
        contact,
        servers: state.ingest().servers(host),
    };
    ([(header::CACHE_CONTROL, CACHE_BRIEFLY), (header::VARY, HeaderValue::from_static("Host"))], Json(view))
        .into_response()
}

/// Shows the settings. For admins.
#[utoipa::path(get, path = "/api/v1/admin/site", operation_id = "getSiteSettings", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    responses((status = 200, description = "The settings", body = SiteSettings), SignedIn))]
pub(crate) async fn show_settings(
    State(state): State<ApiState>,
    person: Person,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    // Another process may have changed them a moment ago.
    state.site().refresh().await?;
    Ok(private(Json(settings(&state, &state.site().known()))))
}

/// Changes settings; what is absent stays. It holds at once, and for other processes within seconds. For admins.
#[utoipa::path(patch, path = "/api/v1/admin/site", operation_id = "editSiteSettings", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    request_body = SiteEdit,
    responses(
        (status = 200, description = "The settings", body = SiteSettings),
        SignedIn, JsonBody, InvalidFields, Changed,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    person: Person,
    Input { value: edit, .. }: Input<SiteEdit>,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let edit = edit.cleaned(state.site_config().max_categories).map_err(invalid_fields)?;
    let known = state.site().change(&edit, edit.version, by(&state, &person)).await.map_err(refused)?;
    state.studio().tell_site_changed().await;
    Ok(private(Json(settings(&state, &known))))
}

/// Lists the changes of the settings, newest first. For admins.
#[utoipa::path(get, path = "/api/v1/admin/site/history", operation_id = "listSiteChanges", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<SiteChangeView>), SignedIn, Paged))]
pub(crate) async fn history(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let asked = Asked::parse(&uri)?;
    let (found, next) = state.site().history(asked.after, asked.limit).await?;
    let mut items = Vec::with_capacity(found.len());
    for SiteChange { number, at, by, before, after, .. } in found {
        let by = state.store().get::<User>(&by.to_string()).await?.map(|kept| Profile::of(&kept.value));
        let changed = changed(&before, &after);
        items.push(SiteChangeView { number, at: time(at), by, changed, before, after });
    }
    Ok(private(Json(Page { items, next_cursor: next.as_ref().map(cursor) })))
}

/// Makes the settings what they were before a change, whatever was changed since. For admins.
#[utoipa::path(post, path = "/api/v1/admin/site/history/{number}/undo", operation_id = "undoSiteChange",
    tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(("number" = i64, Path, description = "Of the change", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "The settings", body = SiteSettings),
        SignedIn, NoSuchChange, Changed,
    ))]
pub(crate) async fn undo(
    State(state): State<ApiState>,
    person: Person,
    Path(number): Path<i64>,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let known = state.site().undo(number, by(&state, &person)).await.map_err(refused)?;
    state.studio().tell_site_changed().await;
    Ok(private(Json(settings(&state, &known))))
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
