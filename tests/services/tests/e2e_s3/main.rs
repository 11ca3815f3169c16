//! Objects in a real S3.

use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use millrace_objects::{Location, Objects, ObjectsError, Trouble, suite};
use millrace_test_services::s3::{self, Place, S3};

const PATIENCE: Duration = Duration::from_secs(20);
/// For what does not come at all.
const SHORT: Duration = Duration::from_millis(500);

fn open(place: &Place, patience: Duration) -> Objects {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("there is none yet");
    });
    let location: Location = place.objects.parse().expect("a place");
    Objects::open(&location, place.variables.clone(), patience).expect("the variables say all")
}

/// The place with another value of a variable.
fn with(place: &Place, name: &str, value: &str) -> Place {
    let mut place = place.clone();
    let set = place.variables.iter_mut().find(|(known, _)| known == name).expect("it is set");
    value.clone_into(&mut set.1);
    place
}

/// The trouble of everything that can be done with a place.
async fn every_trouble(objects: &Objects) -> Vec<ObjectsError> {
    let mut writer = objects.write("a/large").expect("a name");
    writer.push(Bytes::from_static(b"small")).await.expect("it waits for more");
    let all = [
        objects.check().await.map(drop),
        objects.put("a/b", Bytes::from_static(b"x")).await,
        objects.get("a/b", 10).await.map(drop),
        objects.read("a/b").await.map(drop),
        objects.delete("a/b").await,
        objects.list().try_collect::<Vec<_>>().await.map(drop),
        objects.is_empty().await.map(drop),
        writer.finish().await,
    ];
    all.into_iter().filter_map(Result::err).collect()
}

fn assert_all(errors: &[ObjectsError], trouble: Trouble, said: &str) {
    assert_eq!(errors.len(), 8, "{errors:?}");
    for error in errors {
        assert_eq!(error.trouble, trouble, "{error}");
        assert!(error.said.contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_does_what_every_place_does() {
    suite::all(|| async { open(&s3::place().await, PATIENCE) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prefixes_of_a_bucket_know_nothing_of_each_other() {
    let (one, other) = (open(&s3::place().await, PATIENCE), open(&s3::place().await, PATIENCE));
    one.put("avatars/1", Bytes::from_static(b"x")).await.expect("it is written");
    assert_eq!(other.get("avatars/1", 10).await, Ok(None));
    assert_eq!(other.is_empty().await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_a_wrong_key_is_refused_and_it_is_repeated_nowhere() {
    let server = S3::start().await;
    let place = server.place();
    let wrong = open(&with(&place, "AWS_SECRET_ACCESS_KEY", "hush-hush"), PATIENCE);
    let refused = every_trouble(&wrong).await;
    assert_all(&refused, Trouble::Refused, "403 SignatureDoesNotMatch");
    let unknown = open(&with(&place, "AWS_ACCESS_KEY_ID", "nobody"), PATIENCE);
    assert_all(&every_trouble(&unknown).await, Trouble::Refused, "403");
    let printed = format!("{wrong:?} {refused:?} {}", refused[0]);
    for secret in ["hush", "millrace-test-key", "nobody"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert_eq!(*wrong.trouble().borrow(), Some(Trouble::Refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_told_until_it_is() {
    let server = S3::start().await;
    let place = Place { objects: "s3://late-bucket/live".to_owned(), ..server.place() };
    let objects = open(&place, PATIENCE);
    let asked = [
        objects.check().await,
        objects.list().try_collect::<Vec<_>>().await.map(drop),
        objects.is_empty().await.map(drop),
    ];
    for result in asked {
        assert_eq!(result.expect_err("there is none").trouble, Trouble::NoBucket);
    }
    assert_eq!(*objects.trouble().borrow(), Some(Trouble::NoBucket));
    server.make_bucket("late-bucket");
    assert_eq!(every_trouble(&objects).await, []);
    assert_eq!(*objects.trouble().borrow(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_that_is_away_or_stands_still_costs_no_more_than_the_patience() {
    let mut server = S3::start().await;
    let place = server.place();
    let (objects, impatient) = (open(&place, PATIENCE), open(&place, SHORT));
    objects.put("avatars/1", Bytes::from_static(b"picture")).await.expect("it is written");
    server.freeze();
    let late = impatient.get("avatars/1", 10).await.expect_err("it stands still");
    assert_eq!(late.trouble, Trouble::Away, "{late}");
    server.thaw();
    assert_eq!(objects.get("avatars/1", 10).await, Ok(Some("picture".into())));
    server.kill();
    let gone = objects.get("avatars/1", 10).await.expect_err("nobody listens");
    assert_eq!(gone.trouble, Trouble::Away, "{gone}");
    assert_eq!(*objects.trouble().borrow(), Some(Trouble::Away));
    server.restart().await;
    assert_eq!(objects.get("avatars/1", 10).await, Ok(Some("picture".into())));
    assert_eq!(*objects.trouble().borrow(), None);
}
