//! What every engine is held to.
//!
//! [`run`] is called by the tests of each engine, MongoDB's with a real server. It panics at the first broken promise.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a broken promise is a panic")]

mod schema;
mod whole;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    After, Change, Changes, Collection, Document, Engine, Index, Kept, Order, Query, Store, StoreError,
};

/// Makes an empty database for one test; the guard lives as long as the database is used.
pub struct Fresh<G>(Box<dyn Fn() -> Making<G> + Send + Sync>);

/// A database that is being made.
pub type Making<G> = Pin<Box<dyn Future<Output = (G, Arc<dyn Engine>)> + Send>>;

impl<G> Fresh<G> {
    /// `make` makes it.
    pub fn new(make: impl Fn() -> Making<G> + Send + Sync + 'static) -> Self {
        Self(Box::new(make))
    }
}

/// A document of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pet {
    id: String,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    chip: Option<String>,
    born_at: i64,
    tame: bool,
    tricks: i64,
    about: String,
    tags: Vec<String>,
}

static PETS: Collection = Collection {
    name: "suite_pets",
    indexes: &[
        Index { name: "chip", fields: &["chip"], unique: true },
        Index { name: "owner_born", fields: &["owner", "born_at"], unique: true },
        Index { name: "owner_tame_tricks", fields: &["owner", "tame", "tricks"], unique: false },
        Index { name: "born_at", fields: &["born_at"], unique: false },
    ],
    words: &["about", "tags"],
    migrations: &[],
};

impl Document for Pet {
    const COLLECTION: &'static Collection = &PETS;

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// A pet.
#[must_use]
pub fn pet(id: &str, owner: &str) -> Pet {
    Pet {
        id: id.to_owned(),
        owner: owner.to_owned(),
        chip: None,
        born_at: id.bytes().map(i64::from).sum(),
        tame: true,
        tricks: 0,
        about: String::new(),
        tags: Vec::new(),
    }
}

/// A store with the collection of the suite.
pub async fn store(engine: Arc<dyn Engine>) -> Store {
    Store::new(engine, &[&PETS]).await.expect("the database can be prepared")
}

/// Holds an engine to everything.
pub async fn run<G: Send>(fresh: &Fresh<G>) {
    macro_rules! hold {
        ($($promise:ident),* $(,)?) => {$(
            let (guard, engine) = (fresh.0)().await;
            $promise(store(engine).await).await;
            drop(guard);
        )*};
    }
    hold!(
        what_is_written_is_read,
        an_id_is_given_once,
        unique_values_are_given_once,
        a_missing_value_is_not_unique,
        a_stale_write_changes_nothing,
        a_commit_is_all_or_nothing,
        updates_of_many_lose_nothing,
        commits_of_many_lose_nothing,
        one_of_a_thousand_gets_the_name,
        increments_add_up,
        pages_hold_everything_once,
        an_order_lists_what_has_the_field,
        counts_count,
        plain_values_are_no_operators,
        words_find,
        what_words_find_comes_in_the_order_of_the_question,
        what_expired_is_removed,
    );
    macro_rules! hold_engine {
        ($($promise:path),* $(,)?) => {$(
            let (guard, engine) = (fresh.0)().await;
            $promise(engine).await;
            drop(guard);
        )*};
    }
    hold_engine!(
        schema::migrations_run_once_and_newer_data_is_refused,
        schema::those_who_prepare_at_once_migrate_once,
        schema::what_changed_without_a_migration_is_made_anew,
        whole::any_json_comes_back,
        whole::a_snapshot_is_of_one_moment,
        whole::what_is_loaded_keeps_its_version,
    );
}

async fn what_is_written_is_read(store: Store) {
    let mut ada = pet("1", "ada");
    ada.about = "quotes ' \" and $dollar, \u{1f431}, and a line\nmore".into();
    ada.born_at = i64::MAX;
    store.insert(&ada).await.unwrap();
    let read = store.get::<Pet>("1").await.unwrap().unwrap();
    assert_eq!(read.value, ada);
    let changed = Pet { tricks: -7, ..ada };
    store.commit(Changes::new().replace(&read, &changed)).await.unwrap();
    let read = store.get::<Pet>("1").await.unwrap().unwrap();
    assert_eq!(read.value, changed);
    store.commit(Changes::new().delete(&read)).await.unwrap();
    assert_eq!(store.get::<Pet>("1").await.unwrap(), None);
    store.commit(Changes::new().delete_id::<Pet>("1")).await.unwrap();
    store.ping().await.unwrap();
}

async fn an_id_is_given_once(store: Store) {
    store.insert(&pet("1", "ada")).await.unwrap();
    let again = store.insert(&pet("1", "bob")).await.unwrap_err();
    assert!(again.is_conflict("id"), "{again}");
    assert_eq!(store.get::<Pet>("1").await.unwrap().unwrap().owner, "ada");
}

async fn unique_values_are_given_once(store: Store) {
    let chipped = |id: &str, chip: &str| Pet { chip: Some(chip.into()), ..pet(id, id) };
    store.insert(&chipped("1", "a")).await.unwrap();
    assert!(store.insert(&chipped("2", "a")).await.unwrap_err().is_conflict("chip"));
    store.insert(&chipped("2", "b")).await.unwrap();
    let second = store.find_one::<Pet>("chip", "b").await.unwrap().unwrap();
    let taken = store.commit(Changes::new().replace(&second, &chipped("2", "a"))).await.unwrap_err();
    assert!(taken.is_conflict("chip"), "{taken}");
    // Both values together are unique; one of them alone is not.
    let same = Pet { born_at: 1, ..pet("3", "ada") };
    store.insert(&same).await.unwrap();
    store.insert(&Pet { id: "4".into(), born_at: 2, ..same.clone() }).await.unwrap();
    assert!(store.insert(&Pet { id: "5".into(), ..same }).await.unwrap_err().is_conflict("owner_born"));
    // A value that was given up can be had.
    let first = store.get::<Pet>("1").await.unwrap().unwrap();
    store.commit(Changes::new().delete(&first).insert(&chipped("6", "a"))).await.unwrap();
    assert_eq!(store.find_one::<Pet>("chip", "a").await.unwrap().unwrap().id, "6");
}

async fn a_missing_value_is_not_unique(store: Store) {
    store.insert(&pet("1", "ada")).await.unwrap();
    store.insert(&pet("2", "ada")).await.unwrap();
    assert_eq!(store.count::<Pet>(&Query::with("owner", "ada", 0)).await.unwrap(), 2);
}

async fn a_stale_write_changes_nothing(store: Store) {
    store.insert(&pet("1", "ada")).await.unwrap();
    let old = store.get::<Pet>("1").await.unwrap().unwrap();
    let bob = Pet { owner: "bob".into(), ..old.value.clone() };
    store.commit(Changes::new().replace(&old, &bob)).await.unwrap();
    for changes in [Changes::new().replace(&old, &pet("1", "eve")), Changes::new().delete(&old)] {
        let stale = store.commit(changes).await.unwrap_err();
        assert!(matches!(stale, StoreError::Stale { .. }), "{stale}");
    }
    assert_eq!(store.get::<Pet>("1").await.unwrap().unwrap().value, bob);
}

async fn a_commit_is_all_or_nothing(store: Store) {
    store.insert(&pet("1", "ada")).await.unwrap();
    let first = store.get::<Pet>("1").await.unwrap().unwrap();
    let changes = || {
        let bob = Pet { owner: "bob".into(), ..first.value.clone() };
        Changes::new().insert(&pet("2", "bob")).replace(&first, &bob).increment::<Pet>("1", "tricks", 1)
    };
    let refused = store.commit(changes().insert(&pet("1", "eve"))).await.unwrap_err();
    assert!(refused.is_conflict("id"), "{refused}");
    assert_eq!(store.get::<Pet>("2").await.unwrap(), None);
    assert_eq!(store.get::<Pet>("1").await.unwrap().unwrap(), first);
    store.commit(changes()).await.unwrap();
    let after = store.get::<Pet>("1").await.unwrap().unwrap();
    assert_eq!((after.owner.as_str(), after.tricks), ("bob", 1));
    assert!(store.get::<Pet>("2").await.unwrap().is_some());
}

async fn updates_of_many_lose_nothing(store: Store) {
    store.insert(&pet("1", "ada")).await.unwrap();
    let together = (0..8).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..5 {
                let learn = |pet: Pet| Change::<_, ()>::To(Pet { tricks: pet.tricks + 1, ..pet });
                store.update("1", learn).await.unwrap().unwrap().unwrap();
            }
        }
    });
    all(together).await;
    assert_eq!(store.get::<Pet>("1").await.unwrap().unwrap().tricks, 40);
    let missing = store.update("2", |pet: Pet| Change::<_, ()>::To(pet)).await.unwrap();
    assert!(missing.is_none());
    let refused = store.update("1", |_: Pet| Change::Not("no")).await.unwrap().unwrap();
    assert_eq!(refused, Err("no"));
}

async fn commits_of_many_lose_nothing(store: Store) {
    store.insert(&pet("0", "ada")).await.unwrap();
    // They all touch one document, and half of them must be taken back for what is last in them.
    let together = (1..=60).map(|number| {
        let store = store.clone();
        async move {
            let chip = (number % 2 == 0).then(|| "taken".to_owned());
            let other = Pet { chip, born_at: number, ..pet(&number.to_string(), "bob") };
            store.commit(Changes::new().increment::<Pet>("0", "tricks", 1).insert(&other)).await
        }
    });
    let results = all(together).await;
    for refused in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(refused.is_conflict("chip"), "{refused:?}");
    }
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(done, 31);
    assert_eq!(store.get::<Pet>("0").await.unwrap().unwrap().tricks, 31);
    assert_eq!(store.count::<Pet>(&Query::with("owner", "bob", 0)).await.unwrap(), 31);
}

async fn one_of_a_thousand_gets_the_name(store: Store) {
    let together = (0..1_000).map(|number| {
        let store = store.clone();
        async move {
            let claim =
                Pet { chip: Some("the one".into()), born_at: number, ..pet(&number.to_string(), "ada") };
            store.insert(&claim).await
        }
    });
    let results = all(together).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(refused.is_conflict("chip"), "{refused}");
    }
    assert_eq!(store.count::<Pet>(&Query::with("owner", "ada", 0)).await.unwrap(), 1);
}

async fn increments_add_up(store: Store) {
    store.insert(&pet("1", "ada")).await.unwrap();
    let old = store.get::<Pet>("1").await.unwrap().unwrap();
    let up_and_down = (0..20).map(|number| {
        let store = store.clone();
        let by = if number % 4 == 0 { -1 } else { 1 };
        async move { store.commit(Changes::new().increment::<Pet>("1", "tricks", by)).await.unwrap() }
    });
    all(up_and_down).await;
    assert_eq!(store.get::<Pet>("1").await.unwrap().unwrap().tricks, 10);
    // Who read before must not write over it.
    let stale = store.commit(Changes::new().replace(&old, &old.value)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { .. }), "{stale}");
    let nobody = store.commit(Changes::new().increment::<Pet>("2", "tricks", 1)).await.unwrap_err();
    assert!(matches!(nobody, StoreError::Stale { .. }), "{nobody}");
}

async fn pages_hold_everything_once(store: Store) {
    for number in 0..25 {
        // Ties in the order, so that the id has to break them.
        let one = Pet { born_at: number, tricks: number / 4, ..pet(&format!("{number:02}"), "ada") };
        store.insert(&one).await.unwrap();
        store.insert(&Pet { owner: "bob".into(), id: format!("b{number}"), ..one }).await.unwrap();
    }
    for order in [Order::Ascending, Order::Descending] {
        let mut seen: Vec<(i64, String)> = Vec::new();
        let mut after = None;
        loop {
            let query =
                Query::with("owner", "ada", 7).and("tame", true).ordered("tricks", order).after(after);
            let page = store.find::<Pet>(&query).await.unwrap();
            after = page.last().map(|pet| After { value: pet.tricks.into(), id: pet.id.clone() });
            seen.extend(page.iter().map(|pet| (pet.tricks, pet.id.clone())));
            if page.len() < 7 {
                break;
            }
        }
        let mut expected: Vec<_> = (0..25).map(|number| (number / 4, format!("{number:02}"))).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    let first = store.find::<Pet>(&Query::first(2)).await.unwrap();
    let after = After { value: Value::Null, id: first[1].id.clone() };
    let rest = store.find::<Pet>(&Query::first(100).after(Some(after))).await.unwrap();
    assert_eq!(first.len() + rest.len(), 50);
}

async fn an_order_lists_what_has_the_field(store: Store) {
    for (id, chip) in [("1", Some("c")), ("2", None), ("3", Some("a")), ("4", Some("b"))] {
        store.insert(&Pet { chip: chip.map(str::to_owned), ..pet(id, id) }).await.unwrap();
    }
    let ids = async |query: Query| -> Vec<String> {
        store.find::<Pet>(&query).await.unwrap().into_iter().map(|pet| pet.value.id).collect()
    };
    let ordered = |order| Query::first(10).ordered("chip", order);
    assert_eq!(ids(ordered(Order::Ascending)).await, ["3", "4", "1"]);
    let after = After { value: "c".into(), id: "1".into() };
    assert_eq!(ids(ordered(Order::Descending).after(Some(after))).await, ["4", "3"]);
    assert_eq!(ids(Query::first(10)).await, ["1", "2", "3", "4"]);
    assert_eq!(ids(Query::first(0)).await, Vec::<String>::new());
}

async fn counts_count(store: Store) {
    for number in 0..5 {
        let one = Pet { born_at: number, tame: number < 3, ..pet(&number.to_string(), "ada") };
        store.insert(&one).await.unwrap();
    }
    assert_eq!(store.count::<Pet>(&Query::with("owner", "ada", 0).and("tame", true)).await.unwrap(), 3);
    assert_eq!(store.count::<Pet>(&Query::with("owner", "eve", 0)).await.unwrap(), 0);
    assert_eq!(store.count::<Pet>(&Query::default()).await.unwrap(), 5);
}

async fn plain_values_are_no_operators(store: Store) {
    let odd = ["{\"$ne\":null}", "$where", "' OR 1=1 --", "a\0b", "doc"];
    for (number, text) in odd.iter().enumerate() {
        store.insert(&pet(text, &format!("owner {number} {text}"))).await.unwrap();
    }
    for (number, text) in odd.iter().enumerate() {
        assert!(store.get::<Pet>(text).await.unwrap().is_some(), "{text:?}");
        let owner = format!("owner {number} {text}");
        assert_eq!(store.find_one::<Pet>("owner", owner.as_str()).await.unwrap().unwrap().id, *text);
        assert_eq!(store.find_one::<Pet>("owner", *text).await.unwrap(), None);
        store.search::<Pet>(text, &Query::first(10)).await.unwrap();
    }
}

async fn words_find(store: Store) {
    let about = |id: &str, about: &str, tags: &[&str]| Pet {
        about: about.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..pet(id, id)
    };
    store.insert(&about("1", "A black cat", &["Café"])).await.unwrap();
    store.insert(&about("2", "a blue catfish", &[])).await.unwrap();
    let found = async |text: &str| -> BTreeSet<String> {
        store
            .search::<Pet>(text, &Query::first(10))
            .await
            .unwrap()
            .into_iter()
            .map(|pet| pet.value.id)
            .collect()
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(found("cat").await, ids(&["1", "2"]));
    assert_eq!(found("CAT bl").await, ids(&["1", "2"]));
    assert_eq!(found("cat black").await, ids(&["1"]));
    assert_eq!(found("cafe").await, ids(&["1"]));
    assert_eq!(found("atfish").await, ids(&[]));
    assert_eq!(found(" \"*(").await, ids(&[]));
    assert_eq!(store.search::<Pet>("cat", &Query::first(1)).await.unwrap().len(), 1);
    let first = store.get::<Pet>("1").await.unwrap().unwrap();
    store.commit(Changes::new().replace(&first, &about("1", "a dog", &[]))).await.unwrap();
    assert_eq!(found("cat").await, ids(&["2"]));
    assert_eq!(found("dog").await, ids(&["1"]));
    store.commit(Changes::new().delete_id::<Pet>("1")).await.unwrap();
    assert_eq!(found("dog").await, ids(&[]));
}

async fn what_words_find_comes_in_the_order_of_the_question(store: Store) {
    // Of one word there are few, of the other more than are sorted: both ways give the same pages.
    let common = crate::words::FEW + 20;
    for chunk in (0..common).collect::<Vec<_>>().chunks(200) {
        let pets = chunk.iter().fold(Changes::new(), |changes, number| {
            let rare = if number % 100 == 7 { "rare" } else { "" };
            let tame = number % 2 == 1;
            let tricks = i64::try_from(number % 5).unwrap();
            let born_at = i64::try_from(*number).unwrap();
            let about = format!("common {rare} {number}");
            changes.insert(&Pet { about, tame, tricks, born_at, ..pet(&format!("{number:05}"), "ada") })
        });
        store.commit(pets).await.unwrap();
    }
    for (text, owner) in [("comm", "ada"), ("rare common", "ada"), ("comm", "bob")] {
        let wanted = Query::with("owner", owner, 7).and("tame", true).ordered("tricks", Order::Descending);
        let mut seen: Vec<(i64, String)> = Vec::new();
        let mut after = None;
        loop {
            let page = store.search::<Pet>(text, &wanted.clone().after(after)).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(After { value: last.tricks.into(), id: last.id.clone() });
            assert!(page.iter().all(|pet| pet.tame && (text == "comm" || pet.about.contains("rare"))));
            seen.extend(page.iter().map(|pet| (pet.tricks, pet.id.clone())));
        }
        let expected = match (text, owner) {
            (_, "bob") => 0,
            ("comm", _) => common / 2,
            _ => (0..common).filter(|number| number % 100 == 7).count(),
        };
        assert_eq!(seen.len(), expected, "{text}");
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{text}: {seen:?}");
    }
    assert!(store.search::<Pet>(" \"*(", &Query::first(9)).await.unwrap().is_empty());
}

async fn what_expired_is_removed(store: Store) {
    for number in 0..10 {
        store.insert(&Pet { born_at: number, ..pet(&number.to_string(), "ada") }).await.unwrap();
    }
    assert_eq!(store.remove_below::<Pet>("born_at", 6, 4).await.unwrap(), 4);
    assert_eq!(store.remove_below::<Pet>("born_at", 6, 4).await.unwrap(), 2);
    assert_eq!(store.remove_below::<Pet>("born_at", 6, 4).await.unwrap(), 0);
    let left: Vec<Kept<Pet>> = store.find(&Query::first(100)).await.unwrap();
    assert_eq!(left.len(), 4);
    assert!(left.iter().all(|pet| pet.born_at >= 6));
}

/// Runs them at the same time.
async fn all<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut tasks = tokio::task::JoinSet::new();
    for future in futures {
        tasks.spawn(future);
    }
    tasks.join_all().await
}
