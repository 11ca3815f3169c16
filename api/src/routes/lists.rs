//! What lists share: `limit`, `cursor`, and the problems that routes of people and channels answer with.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::ChannelName;
use millrace_http::problem::{FieldProblem, Problem};
use millrace_store::After;
use serde::Serialize;
use utoipa::ToSchema;

/// Items of a page unless asked otherwise.
pub const DEFAULT_PAGE: usize = 50;
/// Most items of a page.
pub const MAX_PAGE: usize = 200;
/// Most characters of a text that is searched for.
const SEARCH_MAX: usize = 100;
/// Longest id in a cursor.
const CURSOR_ID_MAX: usize = 200;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The parameters of a list.
#[derive(Debug)]
pub struct Asked {
    /// From here on.
    pub after: Option<After>,
    /// At most so many.
    pub limit: usize,
    parameters: BTreeMap<String, String>,
}

impl Asked {
    /// Reads the query of an address. Unknown parameters are ignored.
    ///
    /// # Errors
    /// 400 with every parameter that is wrong.
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let query = uri.query().unwrap_or_default();
        let parameters: BTreeMap<String, String> =
            serde_urlencoded::from_str(query).map_err(|_| bad_parameter("query", "is not URL-encoded"))?;
        let limit = match parameters.get("limit") {
            None => DEFAULT_PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_PAGE).contains(limit))
                .ok_or_else(|| bad_parameter("limit", "is a whole number from 1 to 200"))?,
        };
        let after = match parameters.get("cursor") {
            None => None,
            Some(text) => Some(
                read_cursor(text)
                    .ok_or_else(|| bad_parameter("cursor", "is next_cursor of the page before"))?,
            ),
        };
        Ok(Self { after, limit, parameters })
    }

    /// An id among the parameters.
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn id<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let text = self.parameters.get(name);
        text.map(|text| text.parse().map_err(|_| bad_parameter(name, "is the id of a message"))).transpose()
    }

    /// The name of a person among the parameters.
    ///
    /// # Errors
    /// 400 when it can be nobody's.
    pub fn name(&self, name: &str) -> Result<Option<&str>, Problem> {
        let text = self.parameters.get(name).map(String::as_str);
        match text.filter(|text| text.parse::<ChannelName>().is_err()) {
            Some(_) => Err(bad_parameter(name, "is the name of an account: 3 to 25 of a-z, 0-9 and _")),
            None => Ok(text),
        }
    }

    /// A short text among the parameters.
    ///
    /// # Errors
    /// 400 when it is too long.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.parameters.get(name).map(|text| text.trim()).filter(|text| !text.is_empty()) {
            Some(text) if text.chars().count() > SEARCH_MAX => {
                Err(bad_parameter(name, "has at most 100 characters"))
            }
            text => Ok(text),
        }
    }
}

/// The cursor of a place in a list that is ordered by an integer.
#[must_use]
pub fn cursor(after: &After) -> String {
    format!("{}.{}", after.value, after.id)
}

fn read_cursor(text: &str) -> Option<After> {
    let (value, id) = text.split_once('.')?;
    let value: i64 = value.parse().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':');
    let fits = (1..=CURSOR_ID_MAX).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| After { value: value.into(), id: id.to_owned() })
}

/// 400 for a query parameter.
#[must_use]
pub fn bad_parameter(name: &str, detail: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-parameter",
        "Bad parameter",
        "A query parameter is wrong; see errors.",
    )
    .with_error(name, detail)
}

/// 422 for fields of a body.
#[must_use]
pub fn invalid_fields(errors: Vec<FieldProblem>) -> Problem {
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-fields",
        "Invalid fields",
        "Some fields cannot be taken as they are; see errors.",
    );
    errors.into_iter().fold(problem, |problem, error| problem.with_error(error.pointer, error.detail))
}

/// 409 for somebody who has as many as it may.
#[must_use]
pub fn limit_reached(what: &str, limit: usize) -> Problem {
    let detail = format!("There are {limit} {what} already, and no more are allowed. Remove one first.");
    Problem::new(StatusCode::CONFLICT, "limit-reached", "Limit reached", detail)
}

/// What depends on who asks is kept by nobody.
pub(super) fn private(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response()
}

/// Milliseconds since 1970 as they are told.
#[must_use]
pub fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_asked_for_in_pages_and_what_is_wrong_is_named() {
        let asked = Asked::parse(&"/x?limit=7&cursor=-5.a:b-1&q=%20boat&other=1".parse().unwrap()).unwrap();
        assert_eq!(asked.limit, 7);
        assert_eq!(asked.after, Some(After { value: (-5).into(), id: "a:b-1".into() }));
        assert_eq!(cursor(&asked.after.clone().unwrap()), "-5.a:b-1");
        assert_eq!(asked.text("q").unwrap(), Some("boat"));
        for bad in
            ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=1.", "cursor=x.1", "cursor=1.%24ne"]
        {
            assert!(Asked::parse(&format!("/x?{bad}").parse().unwrap()).is_err(), "{bad} was taken");
        }
        let long = Asked::parse(&format!("/x?q={}", "a".repeat(101)).parse().unwrap()).unwrap();
        assert!(long.text("q").is_err());
    }
}
