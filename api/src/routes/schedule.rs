//! Coming broadcasts: `/api/v1/channels/{name}/schedule`, its calendar, its plans; `/api/v1/me/upcoming`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;
use millrace_store::After;
use serde::Serialize;
use utoipa::ToSchema;

use super::channels::{may_watch, owned, seen};
use super::lists::{Asked, Page, bad_parameter, cursor, invalid_fields, limit_reached, private, time};
use super::params::{ById, OfChannel, Paging};
use super::path::Path;
use super::problems::{
    Anyone, InvalidFields, JsonBody, LimitReached, MayBeRefused, NoSuchChannel, Paged, SignedIn, problems,
};
use crate::ApiState;
use crate::accounts::Channel;
use crate::auth::{Input, Person, Scope, forbidden, not_signed_in};
use crate::error::ApiError;
use crate::schedule::ical::Calendar;
use crate::schedule::{Occurrence, Plan, PlanInput, ScheduleError};

const DAY_MS: i64 = 24 * 3_600_000;
/// How far ahead a schedule is listed unless asked otherwise, and at most.
const DAYS: (i64, i64) = (28, 90);
/// How far ahead one sees what those that one follows plan.
const UPCOMING_DAYS: i64 = 14;
/// How long calendars may keep a calendar.
const CACHE_CALENDAR: HeaderValue = HeaderValue::from_static("private, max-age=300");

/// A broadcast to come, or one that is planned for now.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedBroadcast {
    /// The plan that it is of.
    #[schema(example = "0198c6d2-0000-7000-8000-000000000000")]
    plan: String,
    /// Its day on the clocks of `time_zone`; names it in a series.
    #[schema(example = "2026-11-28")]
    day: String,
    /// The channel's name.
    #[schema(value_type = String, example = "studio")]
    channel: ChannelName,
    /// What it will be called.
    #[schema(example = "Building a boat, day 13")]
    title: String,
    /// Empty for none.
    category: String,
    /// A few more words; may be empty.
    note: String,
    /// When it begins.
    #[schema(value_type = String, format = "date-time")]
    starts_at: Timestamp,
    /// When it is meant to end.
    #[schema(value_type = String, format = "date-time")]
    ends_at: Timestamp,
    /// Whose clocks it keeps to.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// Whether there is one every week.
    weekly: bool,
    /// It does not take place.
    cancelled: bool,
}

/// A plan as its owner edits it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanView {
    /// Its id (UUIDv7).
    id: String,
    /// What it will be called.
    title: String,
    /// Empty for none.
    category: String,
    /// A few more words; may be empty.
    note: String,
    /// Day and time on the clocks of `time_zone`.
    #[schema(example = "2026-11-28T19:30:00")]
    starts: String,
    /// A name of the IANA time zone database.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// How long it is meant to last.
    #[schema(example = 90)]
    minutes: i64,
    /// Every week on the same day.
    weekly: bool,
    /// The last day of a series; absent: no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2027-03-27")]
    until: Option<String>,
    /// Days of a series on which there is none.
    #[schema(example = json!(["2026-12-26"]))]
    cancelled: Vec<String>,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            id: plan.id.to_string(),
            title: plan.title,
            category: plan.category,
            note: plan.note,
            starts: plan.starts.to_string(),
            time_zone: plan.time_zone,
            minutes: plan.minutes,
            weekly: plan.weekly,
            until: plan.until.map(|day| day.to_string()),
            cancelled: plan.cancelled.iter().map(ToString::to_string).collect(),
        }
    }
}

fn planned(channel: &ChannelName, plan: &Plan, one: Occurrence) -> PlannedBroadcast {
    PlannedBroadcast {
        plan: plan.id.to_string(),
        day: one.day.to_string(),
        channel: channel.clone(),
        title: plan.title.clone(),
        category: plan.category.clone(),
        note: plan.note.clone(),
        starts_at: time(one.starts_at),
        ends_at: time(one.ends_at),
        time_zone: plan.time_zone.clone(),
        weekly: plan.weekly,
        cancelled: one.cancelled,
    }
}

problems! {
    /// Names a plan, or a day of it.
    NoSuchPlan => [no_such_plan()];
}

fn no_such_plan() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-plan",
        "No such plan",
        "Nothing like that is planned. It may have been removed; reload the page and look.",
    )
}

fn refused(error: ScheduleError) -> ApiError {
    match error {
        ScheduleError::TooMany { limit } => limit_reached("of these", limit).into(),
        ScheduleError::NotFound => no_such_plan().into(),
        ScheduleError::Store(error) => error.into(),
    }
}

/// A channel whose schedule whoever asks may see: who may watch.
async fn shown(state: &ApiState, person: Option<&Person>, name: &str) -> Result<Channel, ApiError> {
    let channel = seen(state, person, name).await?;
    if may_watch(state, person, &channel).await? {
        return Ok(channel);
    }
    let refusal = || forbidden("Only followers of this channel may see its schedule.");
    Err(if person.is_some() { refusal() } else { not_signed_in() }.into())
}

/// Up to `limit` of what is planned, soonest first, from behind `after`.
fn page(
    plans: &[(ChannelName, Plan)],
    days: i64,
    now_ms: i64,
    asked: &Asked,
    keep: impl Fn(&Occurrence) -> bool,
) -> Page<PlannedBroadcast> {
    let to = now_ms.saturating_add(days.saturating_mul(DAY_MS));
    let mut all: Vec<_> = plans
        .iter()
        .flat_map(|(name, plan)| plan.occurrences(now_ms, to).into_iter().map(move |one| (name, plan, one)))
        .filter(|(_, _, one)| keep(one))
        .map(|(name, plan, one)| ((one.starts_at, plan.id.to_string()), planned(name, plan, one)))
        .collect();
    let after =
        asked.after.as_ref().map(|after| (after.value.as_i64().unwrap_or(i64::MIN), after.id.clone()));
    all.retain(|(place, _)| after.as_ref().is_none_or(|after| place > after));
    all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let more = all.len() > asked.limit;
    all.truncate(asked.limit);
    let next = all.last().filter(|_| more).map(|((at, id), _)| After { value: (*at).into(), id: id.clone() });
    Page { items: all.into_iter().map(|(_, one)| one).collect(), next_cursor: next.as_ref().map(cursor) }
}

/// Lists what a channel plans, soonest first, cancelled ones marked. For those who may watch it.
#[utoipa::path(get, path = "/api/v1/channels/{name}/schedule", operation_id = "listSchedule", tag = "Schedule",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel, ("days" = Option<i64>, Query, description = "How far ahead; 28 if absent",
                       minimum = 1, maximum = 90), Paging),
    responses(
        (status = 200, description = "A page of them", body = Page<PlannedBroadcast>),
        Anyone, MayBeRefused, NoSuchChannel, Paged,
    ))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Asked::parse(&uri)?;
    let days = match asked.text("days")? {
        None => DAYS.0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=DAYS.1).contains(days))
            .ok_or_else(|| bad_parameter("days", "is a whole number from 1 to 90"))?,
    };
    let channel = shown(&state, person.as_ref(), &name).await?;
    let now = state.now_ms();
    let plans = state.studio().schedule.of(channel.id, now).await?;
    let plans: Vec<_> = plans.into_iter().map(|plan| (channel.name.clone(), plan)).collect();
    Ok(private(Json(page(&plans, days, now, &asked, |_| true))))
}

/// The same as a calendar to subscribe to (RFC 5545).
#[utoipa::path(get, path = "/api/v1/channels/{name}/schedule.ics", operation_id = "getCalendar", tag = "Schedule",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel),
    responses(
        (status = 200, description = "The calendar", body = String, content_type = "text/calendar"),
        Anyone, MayBeRefused, NoSuchChannel,
    ))]
pub(crate) async fn calendar(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = shown(&state, person.as_ref(), &name).await?;
    let now_ms = state.now_ms();
    let plans = state.studio().schedule.of(channel.id, now_ms).await?;
    let url = state.public_url().map(|site| format!("{site}/@{}", channel.name)).unwrap_or_default();
    let text = Calendar { channel: channel.name.as_str(), url: &url, now_ms }.text(&plans);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/calendar; charset=utf-8")),
        (header::CACHE_CONTROL, CACHE_CALENDAR),
    ];
    Ok((headers, text).into_response())
}

/// Lists what the channels that one follows plan within two weeks, soonest first.
#[utoipa::path(get, path = "/api/v1/me/upcoming", operation_id = "listUpcoming", tag = "Schedule",
    security(("session" = []), ("token" = ["read"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<PlannedBroadcast>), SignedIn, Paged))]
pub(crate) async fn upcoming(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let asked = Asked::parse(&uri)?;
    let (studio, now) = (state.studio(), state.now_ms());
    let followed = studio.follows.of(person.user, None, studio.config.upcoming_of).await?;
    let mut plans = Vec::new();
    for (_, channel) in followed.items.iter().filter(|(_, channel)| channel.planned > 0) {
        if may_watch(&state, Some(&person), channel).await? {
            let found = studio.schedule.of(channel.id, now).await?;
            plans.extend(found.into_iter().map(|plan| (channel.name.clone(), plan)));
        }
    }
    Ok(private(Json(page(&plans, UPCOMING_DAYS, now, &asked, |one| !one.cancelled))))
}

/// Lists the plans of a channel as they are edited, oldest first. For its owner.
#[utoipa::path(get, path = "/api/v1/channels/{name}/plans", operation_id = "listPlans", tag = "Schedule",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses(
        (status = 200, description = "All of them, on one page", body = Page<PlanView>),
        SignedIn, NoSuchChannel,
    ))]
pub(crate) async fn plans(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let mut found = state.studio().schedule.of(channel.id, state.now_ms()).await?;
    found.sort_by_key(|plan| plan.id);
    let items = found.into_iter().map(PlanView::from).collect();
    Ok(private(Json(Page { items, next_cursor: None })))
}

/// Plans a broadcast, or one every week. For the channel's owner.
#[utoipa::path(post, path = "/api/v1/channels/{name}/plans", operation_id = "addPlan", tag = "Schedule",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    request_body = PlanInput,
    responses(
        (status = 201, description = "The plan", body = PlanView),
        SignedIn, NoSuchChannel, JsonBody, InvalidFields, LimitReached,
    ))]
pub(crate) async fn add(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: input, .. }: Input<PlanInput>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let now = state.now_ms();
    let empty = Plan {
        id: state.new_id(),
        channel: channel.id,
        title: String::new(),
        category: String::new(),
        note: String::new(),
        starts: jiff::civil::DateTime::MIN,
        time_zone: String::new(),
        minutes: 0,
        weekly: false,
        until: None,
        cancelled: Vec::new(),
        sequence: 0,
        created_at: now,
    };
    let plan = input.applied_to(empty, &state.site().known().values, now).map_err(invalid_fields)?;
    let studio = state.studio();
    let limit = studio.config.max_planned;
    studio.schedule.add(&plan, limit, now).await.map_err(refused)?;
    Ok((StatusCode::CREATED, private(Json(PlanView::from(plan)))).into_response())
}

/// Puts other words and times into a plan. For the channel's owner.
#[utoipa::path(put, path = "/api/v1/channels/{name}/plans/{id}", operation_id = "editPlan", tag = "Schedule",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    request_body = PlanInput,
    responses(
        (status = 200, description = "The plan", body = PlanView),
        SignedIn, NoSuchChannel, NoSuchPlan, JsonBody, InvalidFields,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
    Input { value: input, .. }: Input<PlanInput>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let (schedule, now) = (&state.studio().schedule, state.now_ms());
    let before = schedule.get(channel.id, &id).await.map_err(refused)?;
    let new = input.applied_to(before, &state.site().known().values, now).map_err(invalid_fields)?;
    // Days that somebody cancels meanwhile stay cancelled.
    let to = |plan: Plan| Plan { cancelled: plan.cancelled, sequence: plan.sequence, ..new.clone() };
    let plan = schedule.change(channel.id, &id, to, now).await.map_err(refused)?;
    Ok(private(Json(PlanView::from(plan))))
}

/// Removes a plan with all its occurrences. For the channel's owner.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/plans/{id}", operation_id = "removePlan", tag = "Schedule",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses((status = 204, description = "It is gone"), SignedIn, NoSuchChannel, NoSuchPlan))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    state.studio().schedule.remove(channel.id, &id, state.now_ms()).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels the occurrence of one day; harmless if it is cancelled. For the channel's owner.
#[utoipa::path(put, path = "/api/v1/channels/{name}/plans/{id}/cancelled/{day}",
    operation_id = "cancelPlannedDay", tag = "Schedule",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById, ("day" = String, Path, description = "On the clocks of the plan", format = "date", example = "2026-12-26")),
    responses(
        (status = 200, description = "The plan", body = PlanView),
        SignedIn, NoSuchChannel, NoSuchPlan, LimitReached,
    ))]
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id, day)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    set_cancelled(&state, &person, &name, &id, &day, true).await
}

/// Lets a cancelled occurrence take place; harmless if it does. For the channel's owner.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/plans/{id}/cancelled/{day}",
    operation_id = "restorePlannedDay", tag = "Schedule",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById, ("day" = String, Path, description = "On the clocks of the plan", format = "date", example = "2026-12-26")),
    responses(
        (status = 200, description = "The plan", body = PlanView),
        SignedIn, NoSuchChannel, NoSuchPlan,
    ))]
pub(crate) async fn restore(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id, day)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    set_cancelled(&state, &person, &name, &id, &day, false).await
}

async fn set_cancelled(
    state: &ApiState,
    person: &Person,
    name: &str,
    id: &str,
    day: &str,
    cancelled: bool,
) -> Result<Response, ApiError> {
    let channel = owned(state, person, name).await?;
    let day = day.parse().map_err(|_| refused(ScheduleError::NotFound))?;
    let schedule = &state.studio().schedule;
    let plan = schedule.cancel(channel.id, id, day, cancelled, state.now_ms()).await.map_err(refused)?;
    Ok(private(Json(PlanView::from(plan))))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
