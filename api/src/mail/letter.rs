//! Sans-IO: what is written to people, as plain text and as HTML.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accounts::Email;
use crate::auth::Secret;

/// A mail to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where to.
    pub to: Email,
    /// Whose account it is about.
    pub name: String,
    /// What it says.
    pub subject: Subject,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Is this your address? With the token of the link.
    ConfirmAddress(Secret),
    /// A link to a new password, with its token.
    NewPassword(Secret),
    /// Something happened to the account.
    News(News),
}

/// What happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// It has another address now; to the old one.
    AddressChanged,
    /// It has another password now.
    PasswordChanged,
    /// No code is asked for any more.
    SecondFactorOff,
    /// Somebody who is known to this provider gets in now.
    ProviderLinked(String),
    /// A webhook of a channel of its own took nothing any more and was turned off.
    WebhookDisabled {
        /// Of which channel.
        channel: String,
        /// The name of the server that it is at.
        host: String,
    },
}

/// From where a mail comes.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// What the owner calls the site.
    pub site: &'a str,
    /// What people type to come here, without a slash at the end.
    pub public_url: &'a str,
}

/// A mail, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The line above.
    pub subject: String,
    /// For everybody.
    pub text: String,
    /// The same with a button.
    pub html: String,
}

impl Subject {
    /// Name of the kind, for logs and counting.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ConfirmAddress(_) => "confirm_address",
            Self::NewPassword(_) => "new_password",
            Self::News(news) => news.label(),
        }
    }
}

impl News {
    /// Name of the kind, for logs and counting.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::AddressChanged => "address_changed",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorOff => "second_factor_off",
            Self::ProviderLinked(_) => "provider_linked",
            Self::WebhookDisabled { .. } => "webhook_disabled",
        }
    }
}

/// What a letter is made of.
struct Draft<'a> {
    subject: String,
    paragraphs: Vec<String>,
    /// What the button says, and where it leads.
    button: Option<(&'a str, String)>,
    /// What to do if it was not the person.
    otherwise: String,
}

impl Letter {
    /// Writes it.
    #[must_use]
    pub fn write(&self, sender: Sender<'_>) -> Written {
        let Sender { site, public_url } = sender;
        let (name, settings) = (&self.name, format!("{public_url}/settings"));
        let not_you = format!(
            "If this was not you, set a new password at {public_url}/forgot and sign out everywhere in your settings."
        );
        let draft = match &self.subject {
            Subject::ConfirmAddress(token) => Draft {
                subject: format!("Is this your address? ({site})"),
                paragraphs: vec![
                    format!("The account {name} at {site} wants to use this e-mail address."),
                    "If it is your account, open this link and confirm. It works once, for a day.".into(),
                ],
                // In the fragment, so that no server log has it.
                button: Some(("Confirm the address", format!("{public_url}/verify#{}", token.reveal()))),
                otherwise: "If you do not know this account, do nothing: it will not get your address."
                    .into(),
            },
            Subject::NewPassword(token) => Draft {
                subject: format!("A new password for {site}"),
                paragraphs: vec![
                    format!(
                        "Somebody, hopefully you, asked for a new password for the account {name} at {site}."
                    ),
                    "Open this link to set one. It works once, for an hour.".into(),
                ],
                button: Some(("Set a new password", format!("{public_url}/reset#{}", token.reveal()))),
                otherwise: "If it was not you, do nothing: your password stays as it is.".into(),
            },
            Subject::News(News::AddressChanged) => Draft {
                subject: format!("Your address at {site} was changed"),
                paragraphs: vec![format!(
                    "The account {name} at {site} has another e-mail address now. Nothing more comes to this one."
                )],
                button: None,
                otherwise: format!(
                    "If this was not you, sign in at {public_url}/login, set a new password and your address again; if \
                     you cannot, write to an admin of the site."
                ),
            },
            Subject::News(News::PasswordChanged) => Draft {
                subject: format!("Your password at {site} was changed"),
                paragraphs: vec![
                    format!("The account {name} at {site} has a new password."),
                    "Other browsers that were signed in have to sign in again.".into(),
                ],
                button: None,
                otherwise: not_you,
            },
            Subject::News(News::SecondFactorOff) => Draft {
                subject: format!("The second factor at {site} is off"),
                paragraphs: vec![format!(
                    "Signing in to the account {name} at {site} asks for no code any more. You can turn the second \
                     factor on again in your settings: {settings}"
                )],
                button: None,
                otherwise: not_you,
            },
            Subject::News(News::ProviderLinked(provider)) => Draft {
                subject: format!("A new way into your account at {site}"),
                paragraphs: vec![format!(
                    "The account {name} at {site} can be entered with {provider} now. You see all ways in in your \
                     settings: {settings}"
                )],
                button: None,
                otherwise: not_you,
            },
            Subject::News(News::WebhookDisabled { channel, host }) => Draft {
                subject: format!("A webhook of {channel} was turned off ({site})"),
                paragraphs: vec![format!(
                    "A webhook of your channel {channel} at {site} goes to {host}, which has taken nothing for a day or \
                     wants nothing any more. It was turned off, and what waited for it is lost."
                )],
                button: Some(("Look at the webhooks", format!("{public_url}/dashboard?channel={channel}"))),
                otherwise: "When the program answers again, turn the webhook on. It is told what happens from then on."
                    .into(),
            },
        };
        draft.written(name, sender)
    }
}

impl Draft<'_> {
    fn written(self, name: &str, sender: Sender<'_>) -> Written {
        let Sender { site, public_url } = sender;
        let mut text = format!("Hello {name},\n\n");
        let mut html = format!("<p>Hello {},</p>\n", Escaped(name));
        for paragraph in &self.paragraphs {
            text.push_str(&format!("{paragraph}\n\n"));
            html.push_str(&format!("<p>{}</p>\n", Escaped(paragraph)));
        }
        if let Some((label, link)) = &self.button {
            text.push_str(&format!("{link}\n\n"));
            let (label, link) = (Escaped(label), Escaped(link));
            html.push_str(&format!(
                "<p><a href=\"{link}\" style=\"display:inline-block;padding:12px 20px;border-radius:8px;\
                 background:#12313f;color:#ffffff;text-decoration:none;font-weight:600\">{label}</a></p>\n\
                 <p style=\"color:#5c6b72;font-size:14px\">Or copy this address into your browser:<br>{link}</p>\n"
            ));
        }
        text.push_str(&format!("{}\n\n-- \n{site}\n{public_url}\n", self.otherwise));
        html.push_str(&format!(
            "<p>{}</p>\n<p style=\"color:#5c6b72\">{}<br>{}</p>\n",
            Escaped(&self.otherwise),
            Escaped(site),
            Escaped(public_url)
        ));
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n<body \
             style=\"margin:0 auto;padding:24px;max-width:560px;font:16px/1.5 system-ui,sans-serif;color:#16232a\">\n\
             {html}</body></html>\n",
            Escaped(&self.subject)
        );
        Written { subject: self.subject, text, html }
    }
}

/// Text in HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => write!(f, "{c}"),
        })
    }
}

/// What a server said, without addresses: it repeats the one that it refuses.
#[must_use]
pub fn without_addresses(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "[address]" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Sender<'_> = Sender { site: "Boats & more", public_url: "https://live.example.org" };

    fn letter(subject: Subject) -> Letter {
        Letter { to: "ada@example.org".parse().unwrap(), name: "ada".into(), subject }
    }

    #[test]
    fn links_are_whole_in_both_forms_and_the_token_is_in_the_fragment() {
        for (subject, page) in [
            (Subject::ConfirmAddress(Secret::sent("tok-1_A")), "verify"),
            (Subject::NewPassword(Secret::sent("tok-1_A")), "reset"),
        ] {
            let written = letter(subject).write(SENDER);
            let link = format!("https://live.example.org/{page}#tok-1_A");
            assert!(written.text.lines().any(|line| line == link), "{}", written.text);
            assert!(written.html.contains(&format!("href=\"{link}\"")), "{}", written.html);
            assert!(written.subject.contains("Boats & more"), "{}", written.subject);
            assert!(
                written.text.ends_with("-- \nBoats & more\nhttps://live.example.org\n"),
                "{}",
                written.text
            );
            assert!(written.html.contains("Boats &amp; more"), "{}", written.html);
            assert!(written.text.starts_with("Hello ada,"));
        }
    }

    #[test]
    fn notices_say_what_happened_and_what_to_do_if_it_was_somebody_else() {
        for news in [
            News::AddressChanged,
            News::PasswordChanged,
            News::SecondFactorOff,
            News::ProviderLinked("Google".into()),
        ] {
            let written = letter(Subject::News(news)).write(SENDER);
            assert!(written.text.contains("If this was not you"), "{}", written.text);
            assert!(written.text.contains("the account ada") || written.text.contains("The account ada"));
        }
    }

    #[test]
    fn who_has_a_webhook_that_was_turned_off_reads_which_and_where_it_is_turned_on() {
        let news = News::WebhookDisabled { channel: "studio".into(), host: "bot.example.org".into() };
        let written = letter(Subject::News(news)).write(SENDER);
        assert!(
            written.text.contains("studio") && written.text.contains("bot.example.org"),
            "{}",
            written.text
        );
        assert!(
            written.text.contains("https://live.example.org/dashboard?channel=studio\n"),
            "{}",
            written.text
        );
    }

    #[test]
    fn nothing_that_others_chose_becomes_markup() {
        let news = News::ProviderLinked("<img src=x onerror='a'>\"&".into());
        let written = letter(Subject::News(news)).write(Sender { site: "<img>", ..SENDER });
        assert!(!written.html.contains("<img"), "{}", written.html);
        assert!(written.html.contains("&lt;img src=x onerror=&#39;a&#39;&gt;&quot;&amp;"));
    }

    #[test]
    fn secrets_and_addresses_are_not_printed() {
        let shown = format!("{:?}", letter(Subject::NewPassword(Secret::sent("tok-1_A"))));
        assert!(!shown.contains("tok-1_A") && !shown.contains("ada@"), "{shown}");
        let said = without_addresses("550 5.1.1 <ada@example.org>: unknown; ask\r\npostmaster@example.org");
        assert_eq!(said, "550 5.1.1 [address] unknown; ask [address]");
    }
}
