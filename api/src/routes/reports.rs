//! Reports of channels and people, and the queue of admins: `/api/v1/admin/reports`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::ids::UserId;
use millrace_http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::channels::seen;
use super::lists::{Asked, Page, bad_parameter, cursor, invalid_fields, limit_reached, private, time};
use super::params::{ById, OfChannel, OfPerson, Paging};
use super::path::Path;
use super::problems::{
    Changed, InvalidFields, JsonBody, LimitReached, NoSuchChannel, Paged, SignedIn, problems,
};
use super::profile::{NoSuchPerson, Profile, person_named};
use crate::ApiState;
use crate::accounts::User;
use crate::auth::{Input, Person};
use crate::error::ApiError;
use crate::reports::{About, Outcome, Reason, Report, ReportError, ReportInput, ReportState, Resolution};

/// A report as admins see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// Its id (UUIDv7).
    #[schema(value_type = String, format = "uuid")]
    id: uuid::Uuid,
    /// What kind of thing it is about.
    about: About,
    /// What that was called then.
    #[schema(example = "studio")]
    target: String,
    /// Who tells; absent if the account is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    reporter: Option<Profile>,
    /// Why.
    reason: Reason,
    /// In the reporter's words; may be empty.
    text: String,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// Whether somebody has looked.
    state: ReportState,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// In the admin's words; may be empty.
    note: String,
    /// Who has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<Profile>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    resolved_at: Option<Timestamp>,
}

problems! {
    /// May be reported once until somebody has looked, and not by its owner.
    MayBeReported => [already(), own()];
    /// Names a report.
    NoSuchReport => [no_such_report()];
    /// Is resolved once.
    Resolved => [resolved()];
}

fn already() -> Problem {
    let detail = "You have reported this already. An admin will look at it.";
    Problem::new(StatusCode::CONFLICT, "reported-already", "Reported already", detail)
}

fn own() -> Problem {
    let detail = "This is yours. Report what is somebody else's.";
    Problem::new(StatusCode::CONFLICT, "own-thing", "Your own", detail)
}

fn resolved() -> Problem {
    let detail = "Another admin has resolved this report. Reload the page and look.";
    Problem::new(StatusCode::CONFLICT, "resolved-already", "Resolved already", detail)
}

fn no_such_report() -> Problem {
    let detail = "There is no such report. Reload the list and look.";
    Problem::new(StatusCode::NOT_FOUND, "no-such-report", "No such report", detail)
}

fn refused(error: ReportError) -> ApiError {
    match error {
        ReportError::TooMany { limit } => limit_reached("reports of yours today", limit).into(),
        ReportError::Already => already().into(),
        ReportError::Resolved => resolved().into(),
        ReportError::NotFound => no_such_report().into(),
        ReportError::Store(error) => error.into(),
    }
}

/// Reports a channel to the admins. For people, not for API tokens.
#[utoipa::path(post, path = "/api/v1/channels/{name}/reports", operation_id = "reportChannel", tag = "Channels",
    security(("session" = [])),
    params(OfChannel),
    request_body = ReportInput,
    responses(
        (status = 204, description = "The admins see it"),
        SignedIn, NoSuchChannel, JsonBody, InvalidFields, MayBeReported, LimitReached,
    ))]
pub(crate) async fn channel(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: input, .. }: Input<ReportInput>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let channel = seen(&state, Some(&person), &name).await?;
    if channel.owner == person.user {
        return Err(own().into());
    }
    let target = (About::Channel, channel.id.to_string(), channel.name.to_string());
    add(&state, &person, target, input).await
}

/// Reports a person to the admins. For people, not for API tokens.
#[utoipa::path(post, path = "/api/v1/users/{name}/reports", operation_id = "reportPerson", tag = "People",
    security(("session" = [])),
    params(OfPerson),
    request_body = ReportInput,
    responses(
        (status = 204, description = "The admins see it"),
        SignedIn, NoSuchPerson, JsonBody, InvalidFields, MayBeReported, LimitReached,
    ))]
pub(crate) async fn user(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: input, .. }: Input<ReportInput>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let user = person_named(&state, &name).await?;
    if user.id == person.user {
        return Err(own().into());
    }
    add(&state, &person, (About::Person, user.id.to_string(), user.name.to_string()), input).await
}

async fn add(
    state: &ApiState,
    person: &Person,
    (about, id, name): (About, String, String),
    input: ReportInput,
) -> Result<StatusCode, ApiError> {
    let ReportInput { reason, text } = input.cleaned().map_err(|problem| invalid_fields(vec![problem]))?;
    let report = Report::new(state.new_id(), about, &id, &name, person.user, reason, text, state.now_ms());
    state.reports().add(report, state.site_config().max_reports_per_day).await.map_err(refused)?;
    metrics::counter!("millrace_reports_total").increment(1);
    Ok(StatusCode::NO_CONTENT)
}

async fn view(state: &ApiState, report: Report) -> Result<ReportView, ApiError> {
    let profile = async |id: Option<UserId>| {
        let Some(id) = id else { return Ok::<_, ApiError>(None) };
        let user = state.store().get::<User>(&id.to_string()).await?;
        Ok(user.map(|kept| Profile::of(&kept.value)))
    };
    Ok(ReportView {
        id: report.id,
        about: report.about,
        target: report.target,
        reporter: profile(Some(report.reporter)).await?,
        reason: report.reason,
        text: report.text,
        at: time(report.at),
        state: report.state,
        outcome: report.outcome,
        note: report.note,
        resolved_by: profile(report.resolved_by).await?,
        resolved_at: report.resolved_at.map(time),
    })
}

/// Lists reports: open ones oldest first, resolved ones newest first. For admins.
#[utoipa::path(get, path = "/api/v1/admin/reports", operation_id = "listReports", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(("state" = Option<ReportState>, Query, description = "`open` if absent"), Paging),
    responses((status = 200, description = "A page of them", body = Page<ReportView>), SignedIn, Paged))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let asked = Asked::parse(&uri)?;
    let which = match asked.text("state")? {
        None | Some("open") => ReportState::Open,
        Some("resolved") => ReportState::Resolved,
        Some(_) => return Err(bad_parameter("state", "is open or resolved").into()),
    };
    let (found, next) = state.reports().list(which, asked.after, asked.limit).await?;
    let mut items = Vec::with_capacity(found.len());
    for report in found {
        items.push(view(&state, report).await?);
    }
    Ok(private(Json(Page { items, next_cursor: next.as_ref().map(cursor) })))
}

/// Says what came of a report. It is in the audit log. For admins.
#[utoipa::path(post, path = "/api/v1/admin/reports/{id}/resolve", operation_id = "resolveReport", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(ById),
    request_body = Resolution,
    responses(
        (status = 200, description = "The report", body = ReportView),
        SignedIn, NoSuchReport, JsonBody, InvalidFields, Resolved, Changed,
    ))]
pub(crate) async fn resolve(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<String>,
    Input { value: resolution, .. }: Input<Resolution>,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let resolution = resolution.cleaned().map_err(|problem| invalid_fields(vec![problem]))?;
    let (now, audit) = (state.now_ms(), state.new_id());
    let report = state.reports().resolve(&id, &resolution, person.user, now, audit).await.map_err(refused)?;
    Ok(private(Json(view(&state, report).await?)))
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
