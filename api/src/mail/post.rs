//! Sends what waits, and tries again.
#![expect(clippy::disallowed_methods, reason = "shell: tasks, waits and message ids")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::config::{MailConfig, Security, Server};
use super::letter::{Letter, without_addresses};
use super::queue::{Entry, Failed, Queue};
use crate::ApiState;
use crate::auth::by_mail;
use crate::error::chain;

/// Mails that are sent at once, each over a connection of its own.
const AT_ONCE: usize = 4;
/// How long a stop waits for what can still be sent.
const LAST_TRY: Duration = Duration::from_secs(5);

/// The way out for mail. Clones share it.
#[derive(Clone)]
pub struct Post(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue<Job>>,
    changed: Notify,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    public_url: String,
}

/// What is to be done.
#[derive(Debug)]
enum Job {
    /// Somebody forgot the password of this name or address. Whether there is such an account is looked up here, so that
    /// the one who asks cannot tell by the time it takes.
    Forgotten(String),
    /// To be sent.
    Letter(Letter),
}

/// The way out cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of the password cannot be read.
    #[error("the file of mail.password_file cannot be read")]
    Password(#[source] std::io::Error),
    /// A setting is wrong.
    #[error("mail.{0}")]
    Setting(String),
    /// TLS cannot be prepared.
    #[error("TLS to the mail server cannot be prepared")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Why a mail did not go out.
struct Refusal {
    for_good: bool,
    why: String,
}

/// Says that a program wrote it, so that no program answers (RFC 3834 §5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Post")
    }
}

impl Post {
    /// The way out that is configured; `None` if there is none.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(config: &MailConfig, public_url: &str) -> Result<Option<Self>, SetupError> {
        let Some(url) = &config.url else { return Ok(None) };
        let server = Server::parse(url).map_err(|why| SetupError::Setting(format!("url: {why}")))?;
        let from = config.from.as_deref().and_then(|from| from.parse().ok());
        let from = from.ok_or_else(|| SetupError::Setting("from: is missing or no sender".into()))?;
        let tls = || TlsParameters::new(server.host.clone()).map_err(SetupError::Tls);
        let tls = match server.security {
            Security::Tls => Tls::Wrapper(tls()?),
            Security::StartTls => Tls::Required(tls()?),
            Security::Nothing => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(config.timeout));
        let password = config.read_password().map_err(SetupError::Password)?;
        if let (Some(username), Some(password)) = (&config.username, password) {
            transport = transport.credentials(Credentials::new(username.clone(), password));
        }
        Ok(Some(Self(Arc::new(Shared {
            queue: Mutex::new(Queue::new(config.max_waiting, config.retry, config.give_up)),
            changed: Notify::new(),
            transport: transport.build(),
            from,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }))))
    }

    /// Sends a mail soon; whether there was room for it.
    pub fn send(&self, letter: Letter, now_ms: i64) -> bool {
        let kind = letter.subject.label();
        let taken = self.push(Job::Letter(letter), now_ms);
        if !taken {
            metrics::counter!("millrace_mails_total", "outcome" => "refused").increment(1);
            tracing::warn!(
                mail.kind = kind,
                "dropped a mail: too many wait already; is the mail server away?"
            );
        }
        taken
    }

    /// Sends a link to a new password to whose account this is, if it is anybody's; whether there was room for it.
    pub fn send_new_password(&self, login: String, now_ms: i64) -> bool {
        self.push(Job::Forgotten(login), now_ms)
    }

    fn push(&self, job: Job, now_ms: i64) -> bool {
        let taken = self.with_queue(|queue| queue.push(job, now_ms)).is_ok();
        self.0.changed.notify_one();
        taken
    }

    fn with_queue<T>(&self, work: impl FnOnce(&mut Queue<Job>) -> T) -> T {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut queue);
        metrics::gauge!("millrace_mails_waiting").set(u32::try_from(queue.len()).unwrap_or(u32::MAX));
        result
    }

    /// Sends what comes until `shutdown`, and then what can be sent at once.
    pub async fn deliver(self, state: ApiState, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        loop {
            self.begin_due(&state, &mut running);
            let now = state.now_ms();
            let next = self.with_queue(|queue| queue.next_due_ms()).filter(|_| running.len() < AT_ONCE);
            let wait = next.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = running.join_next() => {}
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
        let last = async {
            loop {
                self.begin_due(&state, &mut running);
                if running.join_next().await.is_none() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_TRY, last).await;
        let lost = self.with_queue(|queue| queue.len());
        if lost > 0 {
            tracing::warn!(
                mails = lost,
                "stopped with mails that were not sent; people have to ask for them again"
            );
        }
    }

    fn begin_due(&self, state: &ApiState, running: &mut JoinSet<()>) {
        while running.len() < AT_ONCE
            && let Some(entry) = self.with_queue(|queue| queue.due(state.now_ms()))
        {
            running.spawn(self.clone().try_one(state.clone(), entry));
        }
    }

    async fn try_one(self, state: ApiState, mut entry: Entry<Job>) {
        if let Job::Forgotten(login) = &entry.item {
            match by_mail::forgotten(&state, login).await {
                Ok(Some(letter)) => entry.item = Job::Letter(letter),
                Ok(None) => return self.with_queue(Queue::done),
                Err(error) => {
                    let why = chain(&error).to_string();
                    return self.note(&state, entry, "new_password", Refusal { for_good: false, why });
                }
            }
        }
        let Job::Letter(letter) = &entry.item else { return self.with_queue(Queue::done) };
        let kind = letter.subject.label();
        match self.hand_over(letter).await {
            Ok(()) => {
                self.with_queue(Queue::done);
                metrics::counter!("millrace_mails_total", "outcome" => "sent").increment(1);
                tracing::debug!(mail.kind = kind, "sent a mail");
            }
            Err(refusal) => self.note(&state, entry, kind, refusal),
        }
    }

    fn note(&self, state: &ApiState, entry: Entry<Job>, kind: &'static str, refusal: Refusal) {
        let Refusal { for_good, why } = refusal;
        let failed = self.with_queue(|queue| {
            if for_good {
                queue.done();
                Failed::GivenUp
            } else {
                queue.failed(entry, state.now_ms())
            }
        });
        self.0.changed.notify_one();
        match failed {
            Failed::Retry(wait_ms) => {
                metrics::counter!("millrace_mails_total", "outcome" => "retried").increment(1);
                tracing::warn!(mail.kind = kind, why, wait_ms, "could not send a mail; trying again");
            }
            Failed::GivenUp => {
                metrics::counter!("millrace_mails_total", "outcome" => "given_up").increment(1);
                tracing::error!(mail.kind = kind, why, "gave a mail up");
            }
        }
    }

    async fn hand_over(&self, letter: &Letter) -> Result<(), Refusal> {
        let refused = |why: String| Refusal { for_good: true, why };
        let message = self.message(letter).map_err(|why| refused(without_addresses(&why)))?;
        let sent = self.0.transport.send(message).await;
        sent.map(drop).map_err(|error| Refusal {
            // 5xx to a mail is for good; to our signing in (RFC 4954 §4) it is not: passwords get mended.
            for_good: error.status().is_some_and(|code| {
                let code = u16::from(code);
                code >= 500 && !matches!(code, 530 | 534 | 535 | 538)
            }),
            why: without_addresses(&error.to_string()),
        })
    }

    fn message(&self, letter: &Letter) -> Result<Message, String> {
        let address: Address =
            letter.to.as_str().parse().map_err(|_| "an address is none for SMTP".to_owned())?;
        let written = letter.write(&self.0.public_url);
        let id = format!("<{}@{}>", uuid::Uuid::now_v7(), self.0.from.email.domain());
        Message::builder()
            .from(self.0.from.clone())
            .to(Mailbox::new(None, address))
            .subject(written.subject)
            .message_id(Some(id))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(written.text, written.html))
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
impl Post {
    /// One whose mails a test reads with [`Self::waiting`]; nothing is listening.
    pub(crate) fn for_tests() -> Self {
        let config = MailConfig {
            url: Some("smtp://127.0.0.1:1".into()),
            from: Some("Millrace <noreply@live.test>".into()),
            max_waiting: 20,
            ..MailConfig::default()
        };
        Self::new(&config, "http://live.test").unwrap().unwrap()
    }

    /// Takes everything out that waits, looked up as it would be before it is sent.
    pub(crate) async fn waiting(&self, state: &ApiState) -> Vec<Letter> {
        let mut letters = Vec::new();
        while let Some(entry) = self.with_queue(|queue| queue.due(i64::MAX)) {
            self.with_queue(Queue::done);
            match entry.item {
                Job::Letter(letter) => letters.push(letter),
                Job::Forgotten(login) => letters.extend(by_mail::forgotten(state, &login).await.unwrap()),
            }
        }
        letters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Subject;

    #[tokio::test]
    async fn a_mail_is_readable_by_old_programs_and_says_that_a_program_wrote_it() {
        let letter = Letter {
            to: "ada@example.org".parse().unwrap(),
            name: "ada".into(),
            subject: Subject::PasswordChanged,
        };
        let message = Post::for_tests().message(&letter).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        for line in [
            "To: ada@example.org",
            "Auto-Submitted: auto-generated",
            "Content-Type: multipart/alternative;",
            "MIME-Version: 1.0",
        ] {
            assert!(text.contains(line), "{line} is missing:\n{text}");
        }
        assert!(text.contains("@live.test>\r\n"), "{text}");
        assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
        assert!(text.lines().all(|line| line.len() <= 998));
    }

    #[tokio::test]
    async fn a_full_queue_takes_no_more() {
        let post = Post::for_tests();
        for _ in 0..20 {
            assert!(post.send_new_password("ada".into(), 0));
        }
        assert!(!post.send_new_password("ada".into(), 0));
    }
}
