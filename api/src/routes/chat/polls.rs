//! `/api/v1/channels/{name}/chat/polls`: a question to everybody in the room.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::chat::{Poll, PollStage};
use millrace_core::event::EventBody;
use millrace_http::problem::{FieldProblem, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Told, kept_by, note, read_by, rooms, tell, untold};
use crate::ApiState;
use crate::accounts::Channel;
use crate::auth::{Input, Person, Scope, forbidden};
use crate::channels::line;
use crate::chat::clock::Late;
use crate::chat::poll::{VOTE_CHANGES_MAX, Voted, close as close_poll};
use crate::error::ApiError;
use crate::routes::channels::{Standing, standing};
use crate::routes::lists::{invalid_fields, private, time};
use crate::routes::params::{ById, OfChannel};
use crate::routes::path::Path;
use crate::routes::problems::{
    Anyone, InvalidFields, JsonBody, MayBeRefused, NoSuchChannel, NoSuchThing, SignedIn, problems,
};

/// Most characters of a question and of an answer.
const QUESTION_MAX: usize = 140;
const ANSWER_MAX: usize = 60;
/// Fewest and most answers.
const ANSWERS_MIN: usize = 2;
const ANSWERS_MAX: usize = 6;
/// Shortest and longest time for which people can vote, in seconds.
const SECONDS_MIN: u32 = 10;
const SECONDS_MAX: u32 = 3_600;

/// A poll.
#[derive(Debug, Serialize, ToSchema)]
pub struct PollView {
    /// Which.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// What is asked.
    #[schema(example = "Which boat is next?")]
    question: String,
    /// What can be answered, and how many have.
    answers: Vec<PollAnswer>,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    opened_at: Timestamp,
    /// When it closes, or closed.
    #[schema(value_type = String, format = "date-time")]
    closes_at: Timestamp,
    /// Whether one can vote.
    open: bool,
}

/// One answer of a poll.
#[derive(Debug, Serialize, ToSchema)]
pub struct PollAnswer {
    /// The answer.
    #[schema(example = "The dinghy")]
    text: String,
    /// How many votes it has. While the poll runs, as it was about a second ago.
    votes: u64,
}

/// The poll of a room for somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunningPoll {
    /// The one that runs, or the last one; null: there was none.
    #[schema(required)]
    poll: Option<PollView>,
    /// For which of its answers one votes, from 0; null: for none. Known while it runs.
    #[schema(required)]
    voted: Option<u32>,
}

/// A poll that is to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPoll {
    /// One line of 1 to 140 characters.
    #[schema(example = "Which boat is next?")]
    question: String,
    /// 2 to 6, no two alike, each one line of 1 to 60 characters.
    #[schema(example = json!(["The dinghy", "The barge"]))]
    answers: Vec<String>,
    /// For how many seconds people can vote: 10 to 3600.
    #[schema(example = 120)]
    seconds: u32,
}

/// For what somebody votes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PollVote {
    /// Which answer, from 0.
    #[schema(example = 0)]
    answer: u32,
}

problems! {
    /// There is one poll at a time.
    OnePoll => [poll_runs()];
    /// Not every vote counts.
    MayNotVote => [poll_closed(), too_many_changes(), silenced()];
}

fn poll_runs() -> Problem {
    let detail = "A poll runs in this chat already. Close it, or wait until it closes.";
    Problem::new(StatusCode::CONFLICT, "poll-runs", "A poll runs", detail)
}

fn poll_closed() -> Problem {
    Problem::new(StatusCode::CONFLICT, "poll-closed", "Poll closed", "This poll takes no more votes.")
}

fn too_many_changes() -> Problem {
    let detail = format!("You changed your vote {VOTE_CHANGES_MAX} times; it stays as it is now.");
    Problem::new(StatusCode::CONFLICT, "too-many-changes", "Too many changes", detail)
}

fn silenced() -> Problem {
    forbidden("Whoever is banned or timed out in this chat does not vote.")
}

async fn view(state: &ApiState, poll: Poll) -> Result<PollView, ApiError> {
    let counts = state.studio().tallies.of(&rooms(state), &poll, state.now_ms()).await?;
    let open = poll.stage == PollStage::Open && poll.closes_at.as_millisecond() > state.now_ms();
    let votes = counts.into_iter().chain(std::iter::repeat(0));
    let answers = poll.answers.into_iter().zip(votes).map(|(text, votes)| PollAnswer { text, votes });
    Ok(PollView {
        id: poll.id,
        question: poll.question,
        answers: answers.collect(),
        opened_at: poll.opened_at,
        closes_at: poll.closes_at,
        open,
    })
}

/// Shows the poll that runs in a room, or the last one, and how one votes. Pages are told by the WebSocket how others vote.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/poll", operation_id = "getPoll", tag = "Chat",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel),
    responses((status = 200, description = "The poll", body = RunningPoll), Anyone, NoSuchChannel, MayBeRefused))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let (channel, _) = read_by(&state, person.as_ref(), &name).await?;
    let rooms = rooms(&state);
    let poll = rooms.state(channel.id).await?.poll;
    let voted = match (&poll, &person) {
        (Some(poll), Some(person)) => rooms.vote_of(poll.id, person.user).await?.map(|vote| vote.answer),
        _ => None,
    };
    let poll = match poll {
        Some(poll) => Some(view(&state, poll).await?),
        None => None,
    };
    Ok(private(Json(RunningPoll { poll, voted })))
}

/// Asks everybody in a room; when the time is over, the room says the result. For its owner and moderators.
#[utoipa::path(post, path = "/api/v1/channels/{name}/chat/polls", operation_id = "openPoll", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel), request_body = NewPoll,
    responses(
        (status = 201, description = "People can vote", body = PollView),
        SignedIn, JsonBody, NoSuchChannel, InvalidFields, OnePoll, Told,
    ))]
pub(crate) async fn open(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: new, .. }: Input<NewPoll>,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let NewPoll { question, answers, seconds } = new.checked().map_err(invalid_fields)?;
    let now_ms = state.now_ms();
    let poll = Poll {
        id: state.new_id(),
        question,
        answers,
        opened_at: time(now_ms),
        closes_at: time(now_ms.saturating_add(i64::from(seconds) * 1_000)),
        stage: PollStage::Open,
        counts: Vec::new(),
    };
    let rooms = rooms(&state);
    let room = rooms.open_poll(channel.id, &poll).await?.ok_or_else(poll_runs)?;
    if let Err(err) = tell(&state, &channel, EventBody::RoomUpdated(Box::new(room))).await {
        // Whoever does it again finds no poll that nobody sees.
        rooms.withdraw_poll(channel.id, poll.id).await?;
        return Err(err);
    }
    note(&state, &person, &channel, ("chat.poll", poll.id.to_string(), &poll.question)).await?;
    Ok((StatusCode::CREATED, private(Json(view(&state, poll).await?))).into_response())
}

/// Votes, or votes otherwise: one answer for each person. For who is signed in and may read the room.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/polls/{id}/vote", operation_id = "votePoll", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, ById), request_body = PollVote,
    responses(
        (status = 204, description = "The vote counts"),
        SignedIn, JsonBody, NoSuchChannel, NoSuchThing, InvalidFields, MayNotVote,
    ))]
pub(crate) async fn vote(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
    Input { value: PollVote { answer }, .. }: Input<PollVote>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Chat)?;
    let (channel, _) = read_by(&state, Some(&person), &name).await?;
    let id = this_poll(&state, &channel, &id).await?;
    let rooms = rooms(&state);
    let now_ms = state.now_ms();
    let moderates = standing(&person, &channel) >= Standing::Moderator;
    let known = crate::chat::standing(&state, &channel.name, person.user).await?;
    if known.is_silenced(moderates, now_ms) {
        return Err(silenced().into());
    }
    let answer = usize::try_from(answer).unwrap_or(usize::MAX);
    match rooms.vote(channel.id, id, (person.user, answer), now_ms).await? {
        Voted::Counts => Ok(StatusCode::NO_CONTENT),
        Voted::Closed => Err(poll_closed().into()),
        Voted::TooOften => Err(too_many_changes().into()),
        Voted::NoSuchAnswer => {
            let detail = "is the number of an answer, from 0".to_owned();
            Err(invalid_fields(vec![FieldProblem { pointer: "/answer".to_owned(), detail }]).into())
        }
    }
}

/// Closes a poll before its time is over; harmless if it is closed. For the owner and moderators of the channel.
#[utoipa::path(post, path = "/api/v1/channels/{name}/chat/polls/{id}/close", operation_id = "closePoll", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, ById),
    responses(
        (status = 200, description = "The result, which the room says too", body = PollView),
        SignedIn, NoSuchChannel, NoSuchThing, Told,
    ))]
pub(crate) async fn close(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let id = this_poll(&state, &channel, &id).await?;
    let closed = close_poll(&state, &channel, id).await.map_err(|err| match err {
        Late::Store(err) => ApiError::from(err),
        Late::Bus(err) => {
            tracing::error!(stream.id = %channel.name, %err, "the chat of {} is not told the result of a poll", channel.name);
            untold().into()
        }
    })?;
    let poll = closed.ok_or_else(Problem::not_found)?;
    note(&state, &person, &channel, ("chat.poll_close", poll.id.to_string(), "")).await?;
    Ok(private(Json(view(&state, poll).await?)))
}

/// The id of the poll that runs or was the last one.
async fn this_poll(state: &ApiState, channel: &Channel, id: &str) -> Result<Uuid, ApiError> {
    let id: Uuid = id.parse().map_err(|_| Problem::not_found())?;
    let poll = rooms(state).state(channel.id).await?.poll.filter(|poll| poll.id == id);
    Ok(poll.ok_or_else(Problem::not_found)?.id)
}

impl NewPoll {
    fn checked(self) -> Result<Self, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut checked = |pointer: &str, text: &str, most| {
            line(pointer, text, 1, most).unwrap_or_else(|problem| {
                problems.push(problem);
                String::new()
            })
        };
        let question = checked("/question", &self.question, QUESTION_MAX);
        let mut answers = Vec::new();
        for (at, answer) in self.answers.iter().enumerate().take(ANSWERS_MAX) {
            answers.push(checked(&format!("/answers/{at}"), answer, ANSWER_MAX));
        }
        let mut wrong = |pointer: &str, detail: &str| {
            problems.push(FieldProblem { pointer: pointer.to_owned(), detail: detail.to_owned() });
        };
        let different: BTreeSet<_> = answers.iter().map(|answer| answer.to_lowercase()).collect();
        if !(ANSWERS_MIN..=ANSWERS_MAX).contains(&self.answers.len()) {
            wrong("/answers", "are 2 to 6");
        } else if different.len() < answers.len() && !answers.iter().any(String::is_empty) {
            wrong("/answers", "are all different");
        }
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&self.seconds) {
            wrong("/seconds", "is 10 to 3600, which is an hour");
        }
        if problems.is_empty() { Ok(Self { question, answers, ..self }) } else { Err(problems) }
    }
}
