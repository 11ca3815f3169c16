//! The OpenAPI description: what the attributes of the handlers do not say.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::StatusCode;
use bytes::Bytes;
use millrace_http::problem::Problem;
use utoipa::openapi::example::Example;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Ref, RefOr, Response, Server};
use utoipa::{IntoResponses, OpenApi};

use super::problems::{described, status_of};
use super::streams::ProblemDocument;
use super::{examples, outside};
use crate::auth::csrf;
use crate::auth::input::{FORM, JSON};

/// The security scheme of a browser.
const SESSION: &str = "session";
/// What a browser sends in addition to change something.
const CSRF: &str = "csrf";
/// The security scheme of a script.
const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Millrace",
        description = "Self-hosted live streaming: channels, broadcasts, people.\n\n\
            **Scripts** send a personal API token, made under Settings: `Authorization: Bearer mr_…`. Each operation \
            names the scope it needs. **Browsers** carry cookies; what changes something also needs the CSRF token and \
            an `Origin` of this site.\n\n\
            **Errors** are problem documents (RFC 9457) with a stable `type`; each operation lists its own. \
            **Lists** are paged: give `next_cursor` as `cursor` for the next page, until it is null. \
            **Times** are RFC 3339 in UTC, ids are UUIDs that sort by time. Every answer carries `X-Request-Id`; \
            tell it to the operator when something fails.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "Live", description = "What is live right now, and watching it"),
        (name = "Channels", description = "Channels, their broadcasts and moderators"),
        (name = "Stream keys", description = "The secrets that publish"),
        (name = "Webhooks", description = "Programs that are told what happens on a channel"),
        (name = "Chat", description = "Rooms, what was said there, and who keeps order. People talk over WebSocket: see docs/chat.md"),
        (name = "Following", description = "Who follows what, and who may not"),
        (name = "Schedule", description = "Broadcasts to come"),
        (name = "Notices", description = "What happened on channels that one follows, and the browsers that say so"),
        (name = "People", description = "People as everybody sees them"),
        (name = "Account", description = "The own account, its sessions and tokens"),
        (name = "Signing in", description = "Getting in and out; for browsers"),
        (name = "Administration", description = "For the admins of the site"),
        (name = "Server", description = "The server itself"),
    ),
    paths(outside::multivariant, outside::media, outside::health, outside::ready, outside::version),
    components(schemas(ProblemDocument))
)]
struct Description;

/// The whole description.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    let mut guarded = super::guarded().into_openapi();
    for item in guarded.paths.paths.values_mut() {
        for (method, operation) in operations(item) {
            if !matches!(method, "get" | "head" | "options") {
                guard(operation);
            }
        }
    }
    description.merge(guarded);
    description.merge(super::open().into_openapi());
    description.servers = Some(vec![Server::new("/")]);
    let components = description.components.get_or_insert_default();
    for (path, item) in &mut description.paths.paths {
        for (_, operation) in operations(item) {
            if path.contains('{') {
                // What is no text names nothing; see `super::path`.
                operation.responses.responses.extend(described([Problem::not_found()]));
            }
            merge_problems(operation, &mut components.examples);
            take_forms(operation);
        }
    }
    examples::add(components);
    add_schemes(components);
    description
}

/// The description as it is served.
pub(crate) fn rendered() -> Bytes {
    static RENDERED: LazyLock<Bytes> = LazyLock::new(|| {
        let json = serde_json::to_vec(&description()).expect("a description is always JSON");
        Bytes::from(json)
    });
    RENDERED.clone()
}

/// The operations of a path with their methods.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", item.get.as_mut()),
        ("put", item.put.as_mut()),
        ("post", item.post.as_mut()),
        ("patch", item.patch.as_mut()),
        ("delete", item.delete.as_mut()),
        ("head", item.head.as_mut()),
        ("options", item.options.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}

/// Adds what [`csrf::protect`] asks of requests that change something, and what it answers.
fn guard(operation: &mut Operation) {
    struct Guard;
    impl IntoResponses for Guard {
        fn responses() -> BTreeMap<String, RefOr<Response>> {
            described([csrf::foreign_origin(), csrf::no_token()])
        }
    }
    let session = SecurityRequirement::new::<_, [&str; 0], _>(SESSION, []);
    for requirement in operation.security.iter_mut().flatten().filter(|one| **one == session) {
        *requirement = requirement.clone().add::<_, [&str; 0], _>(CSRF, []);
    }
    operation.responses.responses.extend(Guard::responses());
}

/// Who answers a form takes one: with the fields of the JSON, and the CSRF token of whoever is signed in.
fn take_forms(operation: &mut Operation) {
    let answers_forms = operation.responses.responses.contains_key(StatusCode::SEE_OTHER.as_str());
    let Some(RefOr::T(body)) = operation.request_body.as_mut().filter(|_| answers_forms) else { return };
    if let Some(json) = body.content.get(JSON).cloned() {
        body.content.insert(FORM.to_owned(), json);
    }
}

/// Makes one response of all problems with the same status. Their examples become the catalogue of problems.
fn merge_problems(operation: &mut Operation, catalogue: &mut BTreeMap<String, RefOr<Example>>) {
    let responses = std::mem::take(&mut operation.responses.responses);
    let merged = &mut operation.responses.responses;
    for (key, response) in responses {
        let Some(status) = status_of(&key).map(str::to_owned) else {
            merged.insert(key, response);
            continue;
        };
        let RefOr::T(mut response) = response else { continue };
        for content in response.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            for (name, example) in &mut content.examples {
                let reference = RefOr::Ref(Ref::new(format!("#/components/examples/{name}")));
                catalogue.entry(name.clone()).or_insert(std::mem::replace(example, reference));
            }
        }
        match merged.get_mut(&status) {
            Some(RefOr::T(known)) => join(known, response),
            _ => {
                merged.insert(status, RefOr::T(response));
            }
        }
    }
}

fn join(known: &mut Response, more: Response) {
    known.description = format!("{}, or: {}", known.description, more.description);
    known.headers.extend(more.headers);
    for (kind, more) in more.content {
        if let (Some(RefOr::T(known)), RefOr::T(more)) = (known.content.get_mut(&kind), more) {
            known.examples.extend(more.examples);
        }
    }
}

fn add_schemes(components: &mut Components) {
    let session = ApiKeyValue::with_description(
        "__Host-millrace_access",
        "Set by signing in; `millrace_access` where the site is not on https. Renew it by renewSession.",
    );
    let csrf = ApiKeyValue::with_description(
        "X-CSRF-Token",
        "The value of the cookie `__Host-millrace_csrf` (`millrace_csrf` without https).",
    );
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("mr_…")
        .description(Some(
            "A personal API token. Its scopes: `read` (what its person may read), `channels` (change channels, stream \
             keys and broadcasts, follow), `chat` (talk and moderate), `admin` (what only admins may do).",
        ))
        .build();
    let schemes = [
        (SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(session))),
        (CSRF, SecurityScheme::ApiKey(ApiKey::Header(csrf))),
        (TOKEN, SecurityScheme::Http(token)),
    ];
    components.security_schemes.extend(schemes.map(|(name, scheme)| (name.to_owned(), scheme.into())));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::problems::MEDIA_TYPE;

    /// The web client's types are generated from this file; set `UPDATE_OPENAPI=1` to write it anew.
    #[test]
    fn the_description_in_the_tree_is_the_one_we_serve() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let now = description().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == now,
            "api/openapi.json is out of date; run `make generate`"
        );
    }

    #[test]
    fn every_text_has_an_example() {
        let mut without = Vec::new();
        let mut components = description().components.unwrap();
        examples::each_text(&mut components, |schema, field, _| without.push(format!("{schema}.{field}")));
        assert!(
            without.is_empty(),
            "give them one with #[schema(example = …)] or in examples.rs: {without:?}"
        );
    }

    #[test]
    fn every_operation_says_what_it_is_called_who_may_and_how_it_fails() {
        let mut description = description();
        let tags: BTreeSet<_> = description.tags.iter().flatten().map(|tag| tag.name.clone()).collect();
        let mut ids = BTreeSet::new();
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in operations(item) {
                let name = format!("{method} {path}");
                let id = operation.operation_id.clone().unwrap_or_default();
                assert!(
                    !id.is_empty() && !id.contains('_'),
                    "{name}: {id:?} is no name in the style of the others"
                );
                assert!(ids.insert(id), "{name} has the operation_id of another one");
                let tag = operation.tags.clone().unwrap_or_default();
                assert!(tag.len() == 1 && tags.contains(&tag[0]), "{name} has the tags {tag:?}");
                assert!(operation.security.is_some(), "{name} does not say who may");
                assert!(operation.summary.is_some(), "{name} does not say what it does");
                for (status, response) in &operation.responses.responses {
                    let RefOr::T(response) = response else { panic!("{name}: {status}") };
                    assert_eq!(status.len(), 3, "{name}: {status}");
                    let problem = response.content.contains_key(MEDIA_TYPE);
                    let expected = status.as_str() >= "400" && !path.starts_with("/readyz");
                    assert_eq!(problem, expected, "{name}: {status}");
                }
            }
        }
        assert!(ids.len() > 60, "{} operations", ids.len());
    }
}
