//! Passwords: argon2id (RFC 9106) on a few threads, so that a thousand people who sign in at once neither take the
//! memory nor the processor from those who watch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier, Version};
use axum::http::{HeaderValue, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use millrace_http::problem::Problem;
use tokio::sync::oneshot;

/// Memory of one hash: 19 MiB, the OWASP password storage sheet's first choice with 2 passes and 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Fewest bytes of a password.
pub const PASSWORD_MIN_BYTES: usize = 8;
/// Most bytes of a password.
pub const PASSWORD_MAX_BYTES: usize = 256;
/// How hard a password is to guess, 0 to 4, at least.
const STRENGTH_MIN: u8 = 3;
/// Characters whose strength is estimated; the estimate costs more than linear time.
const STRENGTH_MAX_CHARS: usize = 64;
/// Most hashes that wait for a thread.
pub const QUEUE_MAX: usize = 64;

/// The threads that hash, as many as there are cores. They are our own, and each keeps the memory of its hashes: an
/// allocator that gives and takes 19 MiB for each keeps many times that. Clones share them.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Pool>);

type Memory = Vec<Block>;
type Job = Box<dyn FnOnce(&mut Memory) + Send>;

#[derive(Debug)]
struct Pool {
    jobs: mpsc::Sender<Job>,
    /// Those that run and those that wait.
    admitted: Arc<AtomicUsize>,
    admitted_max: usize,
    /// What is compared when there is no such account, so that its absence takes as long.
    dummy: String,
}

/// What a password was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Right,
    /// It is the password, and this is its hash with the parameters of today.
    RightRehashed(String),
    /// It is not.
    Wrong,
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// How a hash of today begins, in PHC form.
fn today() -> String {
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")
}

fn derive(password: &str, salt: &[u8], memory: &mut Memory) -> Option<[u8; 32]> {
    let argon2 = argon2();
    memory.resize(argon2.params().block_count(), Block::default());
    let mut hash = [0; 32];
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, memory).ok()?;
    Some(hash)
}

fn hash_now(password: &str, memory: &mut Memory) -> Option<String> {
    let salt = super::secret::random::<16>();
    let hash = derive(password, &salt, memory)?;
    Some(format!("{}{}${}", today(), STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash)))
}

/// Whether it is the password of this hash of today.
fn is_right(password: &str, salt_and_hash: &str, memory: &mut Memory) -> Option<bool> {
    let (salt, hash) = salt_and_hash.split_once('$')?;
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    Some(super::secret::same(&derive(password, &salt, memory)?, &hash))
}

impl Passwords {
    /// Threads for as many hashes at once as there are cores.
    ///
    /// # Panics
    /// When the system gives no threads.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let cores = cores.max(1);
        let dummy = hash_now("nobody has this password", &mut Memory::new())
            .expect("the parameters are in argon2's bounds");
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..cores {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&queue))
                .expect("the system gives a few threads");
        }
        Self(Arc::new(Pool { jobs, admitted: Arc::default(), admitted_max: cores + QUEUE_MAX, dummy }))
    }

    /// The hash of a new password, in PHC form.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        self.run(move |memory| hash_now(&password, memory)).await?.ok_or_else(Problem::internal)
    }

    /// Compares a password with the hash of an account; with no account it takes as long and is wrong.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<Verdict, Problem> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.0.dummy.clone());
        self.run(move |memory| {
            if password.len() > PASSWORD_MAX_BYTES {
                return Verdict::Wrong;
            }
            if let Some(salt_and_hash) = hash.strip_prefix(&today()) {
                let right = is_right(&password, salt_and_hash, memory).unwrap_or(false);
                return if known && right { Verdict::Right } else { Verdict::Wrong };
            }
            let old = PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok());
            if !known || !old {
                return Verdict::Wrong;
            }
            hash_now(&password, memory).map_or(Verdict::Right, Verdict::RightRehashed)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let admitted = Admitted::new(&self.0).ok_or_else(too_busy)?;
        let (done, result) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // Until the work is done, even if nobody waits for it any more.
            let _admitted = admitted;
            if !done.is_closed() {
                let _ = done.send(work(memory));
            }
        });
        self.0.jobs.send(job).map_err(|_| Problem::internal())?;
        result.await.map_err(|_| Problem::internal())
    }
}

/// Does jobs until nobody can send any more.
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    let mut memory = Memory::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(&mut memory),
            Err(mpsc::RecvError) => return,
        }
    }
}

/// One that runs or waits, until it is dropped.
struct Admitted(Arc<AtomicUsize>);

impl Admitted {
    fn new(pool: &Pool) -> Option<Self> {
        let admit = |count: usize| (count < pool.admitted_max).then_some(count + 1);
        let admitted = pool.admitted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit);
        admitted.ok().map(|_| Self(Arc::clone(&pool.admitted)))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn too_busy() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too-busy",
        "Too busy",
        "Too many people sign in right now. Try again in a few seconds.",
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("3"))
}

/// Whether a new password is good enough; `about` are the person's name and address, which it must not be made of.
///
/// # Errors
/// 422 with what to do, for the field at `pointer`.
pub fn check(password: &str, about: &[&str], pointer: &str) -> Result<(), Problem> {
    let refused = |detail: String| Err(super::invalid(pointer, detail));
    if password.len() < PASSWORD_MIN_BYTES {
        return refused(format!("Take at least {PASSWORD_MIN_BYTES} characters."));
    }
    if password.len() > PASSWORD_MAX_BYTES {
        return refused(format!("Take at most {PASSWORD_MAX_BYTES} bytes."));
    }
    let beginning: String = password.chars().take(STRENGTH_MAX_CHARS).collect();
    let estimate = zxcvbn::zxcvbn(&beginning, about);
    if u8::from(estimate.score()) >= STRENGTH_MIN {
        return Ok(());
    }
    let mut detail = "This password is easy to guess.".to_owned();
    if let Some(feedback) = estimate.feedback() {
        if let Some(warning) = feedback.warning() {
            detail = format!("{detail} {warning}");
        }
        for hint in feedback.suggestions() {
            detail = format!("{detail} {hint}");
        }
    }
    refused(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordHasher;
    use futures_util::future::join_all;

    const GOOD: &str = "plover-quartz-lantern-7";

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::new(2);
        let hash = passwords.hash(GOOD.into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let read = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(GOOD.as_bytes(), &read).is_ok(), "others read it too");
        assert_ne!(hash, passwords.hash(GOOD.into()).await.unwrap(), "salted");
        assert_eq!(passwords.verify(GOOD.into(), Some(hash.clone())).await.unwrap(), Verdict::Right);
        assert_eq!(passwords.verify("other".into(), Some(hash)).await.unwrap(), Verdict::Wrong);
        assert_eq!(passwords.verify(GOOD.into(), None).await.unwrap(), Verdict::Wrong);
        let dummys = "nobody has this password".to_owned();
        assert_eq!(passwords.verify(dummys, None).await.unwrap(), Verdict::Wrong);
        assert_eq!(passwords.verify(GOOD.into(), Some("rubbish".into())).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_yesterdays_parameters_is_made_anew() {
        let old =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).unwrap());
        let old = old.hash_password_with_salt(GOOD.as_bytes(), &[7; 16]).unwrap().to_string();
        let passwords = Passwords::new(1);
        let Verdict::RightRehashed(new) = passwords.verify(GOOD.into(), Some(old)).await.unwrap() else {
            panic!("was not hashed anew")
        };
        assert_eq!(passwords.verify(GOOD.into(), Some(new)).await.unwrap(), Verdict::Right);
    }

    #[tokio::test]
    async fn of_two_hundred_at_once_few_run_some_wait_and_the_rest_is_told_to_come_back() {
        let passwords = Passwords::new(2);
        let threads = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let answers = (0..200).map(|_| {
            let (threads, gate) = (Arc::clone(&threads), Arc::clone(&gate));
            passwords.run(move |_| {
                threads.lock().unwrap().insert(std::thread::current().id());
                // Nobody is done before all have asked.
                let _ = gate.lock().unwrap().recv();
            })
        });
        let open = async move { drop(go) };
        let (answers, ()) = tokio::join!(join_all(answers), open);
        let served = answers.iter().filter(|answer| answer.is_ok()).count();
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(served, 2 + QUEUE_MAX);
        assert!(threads.lock().unwrap().len() <= 2, "the memory of two hashes at most");
        // A job says that it is over a moment after its answer.
        while passwords.0.admitted.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(passwords.run(|_| ()).await.is_ok());
    }

    #[tokio::test]
    async fn who_leaves_makes_no_room_before_the_work_is_done() {
        let passwords = Passwords::new(1);
        let (go, gate) = mpsc::channel::<()>();
        let mut first = Box::pin(passwords.run(move |_| gate.recv().is_err()));
        assert!(futures_util::FutureExt::now_or_never(first.as_mut()).is_none());
        drop(first);
        assert_eq!(passwords.0.admitted.load(Ordering::Relaxed), 1);
        drop(go);
        assert!(passwords.run(|_| ()).await.is_ok());
    }

    #[test]
    fn weak_passwords_are_refused_with_a_hint() {
        for weak in ["short", "password", "12345678", "qwertyuiop", "aaaaaaaaaaaa", "ada_lovelace1"] {
            assert!(
                check(weak, &["ada_lovelace", "ada@example.org"], "/password").is_err(),
                "{weak} was taken"
            );
        }
        assert!(check(&"long ".repeat(60), &[], "/password").is_err(), "300 bytes were taken");
        assert!(check(GOOD, &["ada"], "/password").is_ok());
        assert!(check("наедине-с-лисицей-42", &[], "/password").is_ok());
    }
}
