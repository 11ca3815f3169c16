//! What every place for objects is held to.
//!
//! A test opens an empty place and calls one of these functions; each leaves it as it likes.

use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::{Objects, Trouble};

/// More than one part of a large object, and no whole number of them.
const LARGE_BYTES: usize = (8 << 20) + 100_003;
const PIECE_BYTES: usize = 64 << 10;

/// Calls every function of the suite with places that this makes.
///
/// # Panics
/// A place does not do what it must.
pub async fn all<P: Future<Output = Objects>>(mut empty: impl FnMut() -> P) {
    written_read_and_removed(&empty().await).await;
    names_are_paths_of_plain_words(&empty().await).await;
    a_small_object_is_never_larger_than_who_asks_says(&empty().await).await;
    all_are_listed_and_nothing_else(&empty().await).await;
    a_large_object_is_there_when_it_is_whole(&empty().await).await;
}

async fn names(objects: &Objects) -> Vec<String> {
    let mut names: Vec<_> = objects.list().try_collect().await.expect("the place answers");
    names.sort();
    names
}

/// What is written is read, can be replaced and removed, and what is not there is none.
///
/// # Panics
/// It is not so.
pub async fn written_read_and_removed(objects: &Objects) {
    let name = "avatars/0198c6d2-0000-7000-8000-000000000000";
    assert_eq!(objects.get(name, 100).await, Ok(None));
    for content in ["picture", "", "another"] {
        assert_eq!(objects.put(name, content.into()).await, Ok(()));
        assert_eq!(objects.get(name, 100).await, Ok(Some(content.into())));
    }
    assert_eq!(objects.get("avatars", 100).await.unwrap_or_default(), None, "a folder is no object");
    assert_eq!(objects.delete(name).await, Ok(()));
    assert_eq!(objects.get(name, 100).await, Ok(None));
    assert_eq!(objects.delete(name).await, Ok(()), "it is removed already");
    assert!(objects.read(name).await.expect("the place answers").is_none());
    assert_eq!(*objects.trouble().borrow(), None);
}

/// No name leads out of the place.
///
/// # Panics
/// It is not so.
pub async fn names_are_paths_of_plain_words(objects: &Objects) {
    for bad in ["", "/", "/a", "a/", "a//b", "..", "a/../b", "../a", "a/./b", "a\nb", "a#1", "a%2fb"] {
        let refused = objects.put(bad, Bytes::new()).await.expect_err(bad);
        assert_eq!(refused.trouble, Trouble::Name, "{bad}");
        assert_eq!(objects.get(bad, 1).await.expect_err(bad).trouble, Trouble::Name, "{bad}");
        assert_eq!(objects.delete(bad).await.expect_err(bad).trouble, Trouble::Name, "{bad}");
        assert!(objects.write(bad).is_err(), "{bad}");
    }
    for good in ["a", "b/c/d.webp", "A-b_c.1/x", "with space/\u{fc}"] {
        assert_eq!(objects.put(good, good.to_owned().into()).await, Ok(()), "{good}");
        assert_eq!(objects.get(good, 100).await, Ok(Some(good.to_owned().into())), "{good}");
    }
    assert_eq!(names(objects).await, ["A-b_c.1/x", "a", "b/c/d.webp", "with space/\u{fc}"]);
}

/// Memory is bounded by who asks.
///
/// # Panics
/// It is not so.
pub async fn a_small_object_is_never_larger_than_who_asks_says(objects: &Objects) {
    objects.put("a", Bytes::from_static(&[7; 10])).await.expect("it is written");
    assert_eq!(objects.get("a", 10).await.expect("it is read").map(|read| read.len()), Some(10));
    assert_eq!(objects.get("a", 9).await.expect_err("it is larger").trouble, Trouble::TooLarge);
    assert_eq!(*objects.trouble().borrow(), None, "the place is as good as before");
}

/// Names come from every depth.
///
/// # Panics
/// It is not so.
pub async fn all_are_listed_and_nothing_else(objects: &Objects) {
    assert_eq!(objects.is_empty().await, Ok(true));
    assert_eq!(objects.check().await, Ok(()));
    for name in ["avatars/1", "avatars/2", "b/c/d/e"] {
        objects.put(name, Bytes::from_static(b"x")).await.expect("it is written");
    }
    assert_eq!(objects.is_empty().await, Ok(false));
    assert_eq!(names(objects).await, ["avatars/1", "avatars/2", "b/c/d/e"]);
    for name in names(objects).await {
        objects.delete(&name).await.expect("it is removed");
    }
    assert_eq!(objects.is_empty().await, Ok(true));
}

/// Large objects go through bounded memory, and are never half there.
///
/// # Panics
/// It is not so.
pub async fn a_large_object_is_there_when_it_is_whole(objects: &Objects) {
    let content: Vec<u8> = (0..LARGE_BYTES).map(|at| (at / 251 + at) as u8).collect();
    let mut thrown_away = objects.write("recordings/half").expect("a name");
    let mut writer = objects.write("recordings/whole").expect("a name");
    for piece in content.chunks(PIECE_BYTES) {
        thrown_away.push(Bytes::copy_from_slice(piece)).await.expect("it is sent");
        writer.push(Bytes::copy_from_slice(piece)).await.expect("it is sent");
    }
    thrown_away.abort().await;
    assert_eq!(names(objects).await, Vec::<String>::new(), "nothing is whole yet");
    writer.finish().await.expect("it is whole");
    objects.write("recordings/none").expect("a name").finish().await.expect("it is empty");
    assert_eq!(names(objects).await, ["recordings/none", "recordings/whole"]);

    let mut reading = objects.read("recordings/whole").await.expect("it is read").expect("it is there");
    assert_eq!(reading.bytes, LARGE_BYTES as u64);
    let mut read = Vec::new();
    while let Some(piece) = reading.next().await.expect("it is read") {
        assert!(piece.len() <= 1 << 20, "a piece of {} bytes", piece.len());
        read.extend_from_slice(&piece);
    }
    assert!(read == content, "{} bytes, and others", read.len());
    let mut empty = objects.read("recordings/none").await.expect("it is read").expect("it is there");
    assert_eq!((empty.bytes, empty.next().await), (0, Ok(None)));
}
