//! Sends what waits, and tries again.
#![expect(clippy::disallowed_methods, reason = "shell: tasks, waits and message ids")]

use std::sync::Arc;
use std::time::Duration;

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use millrace_core::trace::{self, Cause};
use millrace_store::{Changes, Kept, Order, Query, StoreError, Version};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::config::{MailConfig, Security, Server};
use super::letter::{Letter, Sender, Subject, without_addresses};
use super::waiting::{Errand, Failed, Mail, millis};
use crate::ApiState;
use crate::auth::by_mail;
use crate::auth::links::Link;
use crate::error::chain;

/// Mails that are sent at once, each over a connection of its own.
const AT_ONCE: usize = 4;
/// How long a stop waits for what can still be sent.
const LAST_TRY: Duration = Duration::from_secs(5);
/// How often one looks for mails of other processes, and for those that died with one.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// For how long beyond the time that a mail may take it is somebody's.
const LEASE_SPARE: Duration = Duration::from_secs(30);

/// The way out for mail. Clones share it.
#[derive(Clone)]
pub struct Post(Arc<Shared>);

struct Shared {
    /// Something was put into the store.
    changed: Notify,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    public_url: String,
    max_waiting: u64,
    retry: Duration,
    give_up: Duration,
    /// How long the server may take for one mail.
    patience: Duration,
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
    /// The server said no: it does not have the mail.
    answered: bool,
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
            changed: Notify::new(),
            transport: transport.build(),
            from,
            public_url: public_url.trim_end_matches('/').to_owned(),
            max_waiting: u64::try_from(config.max_waiting).unwrap_or(u64::MAX),
            retry: config.retry,
            give_up: config.give_up,
            patience: config.timeout,
        }))))
    }

    /// Keeps a mail, to be sent soon; whether there was room for it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn send(&self, state: &ApiState, errand: Errand) -> Result<bool, StoreError> {
        let kind = errand.label();
        if self.waiting_now(state).await? >= self.0.max_waiting {
            metrics::counter!("millrace_mails_total", "outcome" => "refused").increment(1);
            tracing::warn!(mail.kind = kind, "took no mail: too many wait already; is the mail server away?");
            return Ok(false);
        }
        let mail = Mail::new(state.new_id(), errand, state.now_ms(), self.0.retry);
        let mail = Mail { cause: Cause::current(), ..mail };
        state.store().insert(&mail).await?;
        self.0.changed.notify_one();
        Ok(true)
    }

    async fn waiting_now(&self, state: &ApiState) -> Result<u64, StoreError> {
        let waiting = state.store().count::<Mail>(&Query::default()).await?;
        metrics::gauge!("millrace_mails_waiting").set(u32::try_from(waiting).unwrap_or(u32::MAX));
        Ok(waiting)
    }

    /// Sends what comes until `shutdown`, and then what can be sent at once.
    pub async fn deliver(self, state: ApiState, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        let mut said = false;
        loop {
            let next = match self.begin_due(&state, &mut running).await {
                Ok(next) => {
                    said = false;
                    next
                }
                Err(error) => {
                    // Once, not every few seconds.
                    if !said {
                        tracing::warn!(err = %chain(&error), "cannot look for mails to send; trying again");
                    }
                    said = true;
                    None
                }
            };
            let wait = next.map(|at| at.saturating_sub(state.now_ms()).max(1));
            let wait = wait.and_then(|ms| u64::try_from(ms).ok()).map_or(LOOK_EVERY, Duration::from_millis);
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = running.join_next() => {}
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
            }
        }
        let last = async {
            while self.begin_due(&state, &mut running).await.is_ok() && running.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(LAST_TRY, last).await;
        if let Ok(waiting @ 1..) = self.waiting_now(&state).await {
            tracing::info!(mails = waiting, "mails wait in the store; they are sent after the next start");
        }
    }

    /// Begins with as many of those that are due as it can; when the next one is due, if that is known and there is room
    /// for it.
    async fn begin_due(
        &self,
        state: &ApiState,
        running: &mut JoinSet<()>,
    ) -> Result<Option<i64>, StoreError> {
        while running.try_join_next().is_some() {}
        let room = AT_ONCE.saturating_sub(running.len());
        if room == 0 {
            return Ok(None);
        }
        self.waiting_now(state).await?;
        let query = Query::first(room + 1).ordered("due", Order::Ascending);
        let found = state.store().find::<Mail>(&query).await?;
        let mut begun = 0;
        for mail in found {
            if mail.due > state.now_ms() || begun == room {
                return Ok((begun < room).then_some(mail.due));
            }
            if let Some(ours) = self.take(state, &mail).await? {
                begun += 1;
                let cause = ours.cause;
                running.spawn(trace::job("send mail", cause, self.clone().try_one(state.clone(), ours)));
            }
        }
        Ok(None)
    }

    /// Makes a mail this process's for a while; `None` if another one was faster.
    async fn take(&self, state: &ApiState, mail: &Kept<Mail>) -> Result<Option<Kept<Mail>>, StoreError> {
        let lease = millis(self.0.patience.saturating_add(LEASE_SPARE));
        let ours = mail.taken(state.now_ms().saturating_add(lease));
        match state.store().commit(Changes::new().replace(mail, &ours)).await {
            Ok(()) => Ok(Some(Kept { value: ours, version: Version(mail.version.0 + 1) })),
            Err(StoreError::Stale { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn try_one(self, state: ApiState, mail: Kept<Mail>) {
        let kind = mail.errand.label();
        let letter = match by_mail::letter(&state, &mail).await {
            Ok(letter) => letter,
            Err(error) => {
                let why = chain(&error).to_string();
                return self
                    .note(&state, &mail, None, Refusal { answered: true, for_good: false, why })
                    .await;
            }
        };
        let Some(letter) = letter else { return self.done(&state, &mail).await };
        let sent = tokio::time::timeout(self.0.patience, self.hand_over(&state, &letter)).await;
        let late =
            || Refusal { answered: false, for_good: false, why: "the server took too long".to_owned() };
        match sent.unwrap_or_else(|_| Err(late())) {
            Ok(()) => {
                metrics::counter!("millrace_mails_total", "outcome" => "sent").increment(1);
                tracing::debug!(mail.kind = kind, "sent a mail");
                self.done(&state, &mail).await;
            }
            Err(refusal) => self.note(&state, &mail, Some(&letter), refusal).await,
        }
    }

    /// There is nothing more to do for a mail.
    async fn done(&self, state: &ApiState, mail: &Mail) {
        let changes = Changes::new().delete_id::<Mail>(mail.id.to_string());
        if let Err(error) = state.store().commit(changes).await {
            tracing::warn!(
                mail.kind = mail.errand.label(),
                err = %chain(&error),
                "cannot note that a mail was sent: it may be sent twice"
            );
        }
    }

    /// A mail was not sent: it waits on, or is given up.
    async fn note(&self, state: &ApiState, mail: &Kept<Mail>, letter: Option<&Letter>, refusal: Refusal) {
        let Refusal { answered, for_good, why } = refusal;
        let kind = mail.errand.label();
        let failed = mail.failed(state.now_ms(), self.0.give_up);
        let changes = match (&failed, for_good) {
            (Failed::Retry(later, _), false) => Changes::new().replace(mail, later.as_ref()),
            _ => Changes::new().delete_id::<Mail>(mail.id.to_string()),
        };
        // Nobody has the link of a mail that was surely not taken.
        let changes = match letter.map(|letter| &letter.subject) {
            Some(Subject::ConfirmAddress(token) | Subject::NewPassword(token)) if answered => {
                changes.delete_id::<Link>(token.hash())
            }
            _ => changes,
        };
        if let Err(error) = state.store().commit(changes).await {
            tracing::warn!(mail.kind = kind, err = %chain(&error), "cannot note that a mail was not sent");
        }
        match failed {
            Failed::Retry(_, wait_ms) if !for_good => {
                metrics::counter!("millrace_mails_total", "outcome" => "retried").increment(1);
                tracing::warn!(mail.kind = kind, why, wait_ms, "could not send a mail; trying again");
            }
            _ => {
                metrics::counter!("millrace_mails_total", "outcome" => "given_up").increment(1);
                tracing::error!(mail.kind = kind, why, "gave a mail up");
            }
        }
        self.0.changed.notify_one();
    }

    async fn hand_over(&self, state: &ApiState, letter: &Letter) -> Result<(), Refusal> {
        let refused = |why: String| Refusal { answered: true, for_good: true, why };
        let site = state.site().known();
        let message =
            self.message(letter, &site.values.name).map_err(|why| refused(without_addresses(&why)))?;
        let sent = self.0.transport.send(message).await;
        sent.map(drop).map_err(|error| Refusal {
            answered: error.status().is_some(),
            // 5xx to a mail is for good; to our signing in (RFC 4954 §4) it is not: passwords get mended.
            for_good: error.status().is_some_and(|code| {
                let code = u16::from(code);
                code >= 500 && !matches!(code, 530 | 534 | 535 | 538)
            }),
            why: without_addresses(&error.to_string()),
        })
    }

    fn message(&self, letter: &Letter, site: &str) -> Result<Message, String> {
        let address: Address =
            letter.to.as_str().parse().map_err(|_| "an address is none for SMTP".to_owned())?;
        let written = letter.write(Sender { site, public_url: &self.0.public_url });
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

    /// Takes everything out that waits, written as it would be before it is sent.
    pub(crate) async fn waiting(&self, state: &ApiState) -> Vec<Letter> {
        let mut letters = Vec::new();
        for mail in state.store().find::<Mail>(&Query::first(1_000)).await.unwrap() {
            letters.extend(by_mail::letter(state, &mail).await.unwrap());
            self.done(state, &mail).await;
        }
        letters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::News;

    #[tokio::test]
    async fn a_mail_is_readable_by_old_programs_and_says_that_a_program_wrote_it() {
        let letter = Letter {
            to: "ada@example.org".parse().unwrap(),
            name: "ada".into(),
            subject: Subject::News(News::PasswordChanged),
        };
        let message = Post::for_tests().message(&letter, "Böots").unwrap();
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
}
