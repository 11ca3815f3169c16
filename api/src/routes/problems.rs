//! What operations refuse with, for the description: sets of the very problems that the code answers with.
//!
//! An operation names its sets beside its successes: `responses((status = 204, description = "…"), SignedIn, JsonBody)`.
//! Several sets may answer with the same status; [`super::description`] makes one response of them, with an example for
//! each kind. What the route has in common with all others, the protection against foreign pages, is added there.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use millrace_http::problem::Problem;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};

use super::channels::no_such_channel;
use super::lists::{bad_parameter, invalid_fields, limit_reached};
use crate::auth::input::{bad_body, too_large, wrong_media_type};
use crate::auth::{forbidden, invalid, not_signed_in};

/// Media type of every problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// The schema of every problem.
pub(crate) const SCHEMA: &str = "ProblemDocument";

/// A set of problems under a name, for `responses(…)`.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident => [$($problem:expr),+ $(,)?];)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses()
            -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::routes::problems::described([$($problem),+])
            }
        }
    )+};
}
pub(crate) use problems;

problems! {
    /// The store can be away.
    Stored => [unavailable()];
    /// Everybody may; who sends a token must send a good one.
    Anyone => [not_signed_in(), unavailable()];
    /// For who is signed in, and may.
    SignedIn => [not_signed_in(), forbidden("This API token lacks the scope."), unavailable()];
    /// Everybody, but not everything.
    MayBeRefused => [forbidden("Only followers of this channel may see its broadcasts.")];
    /// Takes a body.
    JsonBody => [too_large(), wrong_media_type(), bad_body("missing field `name`")];
    /// A field of the body can be wrong.
    Invalid => [invalid("/name", "Write 1 to 50 characters in one line.")];
    /// Several fields of the body can be wrong.
    InvalidFields => [invalid_fields(vec![millrace_http::problem::FieldProblem {
        pointer: "/title".to_owned(),
        detail: "has 141 characters; write 0 to 140".to_owned(),
    }])];
    /// Has parameters.
    Paged => [bad_parameter("limit", "is a whole number from 1 to 200")];
    /// Names something that may not be there.
    NoSuchThing => [Problem::not_found()];
    /// Names a channel.
    NoSuchChannel => [no_such_channel()];
    /// There is a limit for how many there are.
    LimitReached => [limit_reached("stream keys of this channel", 10)];
    /// Somebody else may have changed it at the same time.
    Changed => [crate::error::changed_meanwhile()];
    /// May be tried so often.
    Limited => [crate::auth::limits::too_many_attempts(30)];
    /// Checks or sets a password.
    Hashing => [crate::auth::password::too_busy()];
}

fn unavailable() -> Problem {
    crate::error::store_unavailable()
}

/// Browsers without scripts post a form here, and are sent to a page when it was good.
pub(crate) struct FormTaken;

impl utoipa::IntoResponses for FormTaken {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let location = ObjectBuilder::new().schema_type(Type::String).examples(["/"]).build();
        let response = ResponseBuilder::new()
            .description("A form was posted: the same, and the page to go to")
            .header("Location", HeaderBuilder::new().schema(Some(location)).build());
        BTreeMap::from([(StatusCode::SEE_OTHER.as_str().to_owned(), response.build().into())])
    }
}

/// Describes problems, each under its status and name: the key of a response once they are merged is the status alone.
pub(crate) fn described<const N: usize>(problems: [Problem; N]) -> BTreeMap<String, RefOr<Response>> {
    problems
        .into_iter()
        .map(|problem| (key(problem.status(), problem.slug()), response(&problem).into()))
        .collect()
}

/// The key of one problem among the responses of an operation until they are merged.
fn key(status: StatusCode, slug: &str) -> String {
    format!("{} {slug}", status.as_str())
}

/// The status in a [`key`], if it is one.
pub(crate) fn status_of(key: &str) -> Option<&str> {
    key.split_once(' ').map(|(status, _)| status)
}

fn response(problem: &Problem) -> Response {
    let example = ExampleBuilder::new()
        .summary(problem.title())
        .description(problem.detail())
        .value(Some(problem.to_json()));
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(SCHEMA)))
        .examples_from_iter([(problem.slug(), example.build())])
        .build();
    let mut response = ResponseBuilder::new().description(problem.title()).content(MEDIA_TYPE, content);
    for (name, value) in problem.headers() {
        let schema = if value.to_str().is_ok_and(|text| text.parse::<u64>().is_ok()) {
            ObjectBuilder::new().schema_type(Type::Integer).build()
        } else {
            ObjectBuilder::new().schema_type(Type::String).build()
        };
        response = response.header(name.as_str(), HeaderBuilder::new().schema(Some(schema)).build());
    }
    response.build()
}
