//! Sans-IO: what a client of IRC says and is told, but for what happens in rooms.

use std::collections::BTreeSet;

use millrace_core::chat::{Badge, ChatMessage, MessageKind};
use millrace_core::ids::{ChannelName, MessageId};
use uuid::Uuid;

use super::line::{Line, line, pieces, tags};

/// Rooms that one connection may be in.
pub(crate) const ROOMS_MAX: usize = 20;
/// What stands for the server in lines.
const SERVER: &str = "millrace";
/// What a client may ask for (IRCv3).
const CAPABILITIES: [&str; 4] = ["echo-message", "message-tags", "server-time", "standard-replies"];
/// The message that another one answers (IRCv3 client tag).
const REPLY: &str = "+draft/reply";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A line for the client.
    Tell(String),
    /// Who it is, by the password, is to be found out: [`Session::admitted`] or [`Session::turned_away`] follows.
    Admit(Option<String>),
    /// It wants into a room: [`Session::joined`] or [`Session::kept_out`] follows.
    Join(ChannelName),
    /// It leaves a room.
    Part(ChannelName),
    /// It says something in a room.
    Say { channel: ChannelName, text: String, reply_to: Option<MessageId> },
    /// The connection ends.
    Close(String),
}

/// One client.
#[derive(Debug, Default)]
pub(crate) struct Session {
    stage: Stage,
    /// It talks about capabilities, and is not done with it.
    negotiating: bool,
    password: Option<String>,
    nick: Option<String>,
    user: bool,
    caps: BTreeSet<&'static str>,
    rooms: BTreeSet<ChannelName>,
    /// The name of whoever signed in.
    name: Option<ChannelName>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Begins,
    /// It is being found out who that is.
    Asked,
    Here,
}

impl Session {
    /// Takes a line.
    pub(crate) fn take(&mut self, said: &Line) -> Vec<Action> {
        match said.command.as_str() {
            "CAP" => self.cap(said),
            "PING" => vec![tell(line(SERVER, "PONG", &[SERVER], Some(said.param(0))))],
            "PONG" => Vec::new(),
            "QUIT" => vec![Action::Close("Goodbye".to_owned())],
            "PASS" | "NICK" | "USER" if self.stage == Stage::Begins => {
                match said.command.as_str() {
                    "PASS" => self.password = Some(said.param(0).to_owned()).filter(|it| !it.is_empty()),
                    "NICK" => self.nick = Some(plain(said.param(0))).filter(|it| !it.is_empty()),
                    _ => self.user = true,
                }
                self.begin()
            }
            "PASS" | "USER" => vec![self.number("462", &[], "You are here already")],
            // Whoever signed in is called what the account is called.
            "NICK" => Vec::new(),
            _ if self.stage != Stage::Here => vec![self.number("451", &[], "Say PASS, NICK and USER first")],
            "JOIN" => self.each(said.param(0), Self::join),
            "PART" => self.each(said.param(0), Self::part),
            "PRIVMSG" | "NOTICE" => self.privmsg(said),
            "NAMES" | "WHO" => {
                let (number, end) = if said.command == "WHO" {
                    ("315", "End of WHO list")
                } else {
                    ("366", "End of NAMES list")
                };
                vec![self.number(number, &[&plain(said.param(0))], end)]
            }
            "MODE" if said.param(0).starts_with('#') => {
                vec![self.number("324", &[&plain(said.param(0)), "+nt"], "")]
            }
            "MODE" | "AWAY" | "USERHOST" | "TAGMSG" => Vec::new(),
            "TOPIC" => vec![self.number("331", &[&plain(said.param(0))], "No topic is set")],
            "MOTD" => vec![self.number("422", &[], "There is no message of the day")],
            "LIST" => vec![self.number("323", &[], "The channels are on the web page")],
            other => vec![self.number("421", &[other], "Unknown command")],
        }
    }

    /// A line that is too long was thrown away.
    pub(crate) fn too_long(&self) -> Vec<Action> {
        vec![self.number("417", &[], "Input line was too long")]
    }

    /// It is known who that is; `None`: somebody who only reads.
    pub(crate) fn admitted(&mut self, name: Option<ChannelName>) -> Vec<Action> {
        self.stage = Stage::Here;
        self.password = None;
        let asked = self.nick.take().unwrap_or_default();
        let nick = match &name {
            Some(name) => name.to_string(),
            None => format!(
                "guest_{}",
                asked.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>()
            ),
        };
        self.name = name;
        let mut all = Vec::new();
        if nick != asked {
            all.push(tell(line(&format!("{asked}!{asked}@{SERVER}"), "NICK", &[], Some(&nick))));
        }
        self.nick = Some(nick.clone());
        all.push(self.number("001", &[], &format!("Welcome to the chat, {nick}")));
        all.push(self.number("002", &[], "Your host is millrace"));
        all.push(self.number("003", &[], "Rooms are those of channels: JOIN #channel"));
        all.push(self.number("004", &[SERVER, "1", "i", "nt"], ""));
        let supports = [
            "CASEMAPPING=ascii",
            "CHANTYPES=#",
            "CHANMODES=,,,nt",
            "CHANNELLEN=26",
            "NICKLEN=25",
            "NETWORK=Millrace",
        ];
        all.push(self.number("005", &supports, "are supported by this server"));
        all.push(self.number("422", &[], "There is no message of the day"));
        if self.name.is_none() {
            all.push(
                self.notice(
                    "You read only. To speak, connect with an API token (scope chat) as the password.",
                ),
            );
        }
        all
    }

    /// Who that is cannot be found out, or they may not come in.
    pub(crate) fn turned_away(&self, why: &str) -> Vec<Action> {
        vec![self.number("464", &[], why), Action::Close(why.to_owned())]
    }

    /// It is in a room.
    pub(crate) fn joined(
        &mut self,
        channel: &ChannelName,
        rules: &str,
        names: &[ChannelName],
    ) -> Vec<Action> {
        self.rooms.insert(channel.clone());
        let room = format!("#{channel}");
        let mut all = vec![tell(line(&self.source(), "JOIN", &[&room], None))];
        let rules: Vec<&str> = rules.split('\n').map(str::trim).filter(|rule| !rule.is_empty()).collect();
        if !rules.is_empty() {
            let topic = rules.join(" \u{b7} ");
            all.push(self.number("332", &[&room], pieces(&topic).first().copied().unwrap_or_default()));
        }
        let me = self.nick.clone().unwrap_or_default();
        let mut here = vec![me.as_str()];
        here.extend(names.iter().map(ChannelName::as_str).filter(|name| *name != me));
        for some in here.chunks(10) {
            all.push(self.number("353", &["=", &room], &some.join(" ")));
        }
        all.push(self.number("366", &[&room], "End of NAMES list"));
        all
    }

    /// It does not come into a room, or is sent out of it.
    pub(crate) fn kept_out(&mut self, channel: &ChannelName, why: &str) -> Vec<Action> {
        let room = format!("#{channel}");
        match self.rooms.remove(channel) {
            true => {
                vec![tell(line(SERVER, "KICK", &[&room, self.nick.as_deref().unwrap_or("*")], Some(why)))]
            }
            false => vec![self.number("403", &[&room], why)],
        }
    }

    /// What it said is not said.
    pub(crate) fn refused(&self, channel: &ChannelName, code: &str, why: &str) -> Vec<Action> {
        let room = format!("#{channel}");
        if self.caps.contains("standard-replies") {
            let code = code.to_ascii_uppercase();
            return vec![tell(line(SERVER, "FAIL", &["PRIVMSG", &code, &room], Some(why)))];
        }
        vec![self.number("404", &[&room], why)]
    }

    /// What it said waits for somebody who moderates.
    pub(crate) fn held(&self, channel: &ChannelName, why: &str) -> Vec<Action> {
        let room = format!("#{channel}");
        if self.caps.contains("standard-replies") {
            return vec![tell(line(SERVER, "NOTE", &["PRIVMSG", "HELD", &room], Some(why)))];
        }
        vec![tell(line(SERVER, "NOTICE", &[&room], Some(why)))]
    }

    /// Something was said in a room; `own`: by this very connection.
    pub(crate) fn message(&self, channel: &ChannelName, message: &ChatMessage, own: bool) -> Vec<Action> {
        if own && !self.caps.contains("echo-message") {
            return Vec::new();
        }
        let room = format!("#{channel}");
        let (source, command) = match &message.author {
            Some(author) => (format!("{0}!{0}@{SERVER}", author.name), "PRIVMSG"),
            None => (SERVER.to_owned(), "NOTICE"),
        };
        let tagged = self.tags_of(message);
        let said = pieces(&message.text).into_iter().map(|piece| {
            let text = match message.kind {
                MessageKind::Action => format!("\u{1}ACTION {piece}\u{1}"),
                _ => piece.to_owned(),
            };
            tell(format!("{tagged}{}", line(&source, command, &[&room], Some(&text))))
        });
        said.collect()
    }

    fn tags_of(&self, message: &ChatMessage) -> String {
        let mut all = Vec::new();
        if self.caps.contains("server-time") {
            all.push(("time", format!("{:.3}", message.at)));
        }
        if self.caps.contains("message-tags") {
            all.push(("msgid", message.id.to_string()));
            if let Some(author) = &message.author {
                all.push(("millrace.dev/display-name", author.display_name.clone()));
                let badges: Vec<&str> = author.badges.iter().map(|badge| badge_name(*badge)).collect();
                if !badges.is_empty() {
                    all.push(("millrace.dev/badges", badges.join(",")));
                }
            }
            if let Some(quote) = &message.reply_to {
                all.push((REPLY, quote.id.to_string()));
            }
        }
        tags(&all)
    }

    /// For the person, from the server.
    pub(crate) fn notice(&self, text: &str) -> Action {
        tell(line(SERVER, "NOTICE", &[self.nick.as_deref().unwrap_or("*")], Some(text)))
    }

    fn source(&self) -> String {
        let nick = self.nick.as_deref().unwrap_or("*");
        format!("{nick}!{nick}@{SERVER}")
    }

    /// A numeric reply (RFC 1459 §6).
    fn number(&self, number: &str, params: &[&str], text: &str) -> Action {
        let nick = match self.stage {
            Stage::Here => self.nick.as_deref().unwrap_or("*"),
            _ => "*",
        };
        let mut all = vec![nick];
        all.extend(params);
        tell(line(SERVER, number, &all, Some(text).filter(|text| !text.is_empty())))
    }

    fn cap(&mut self, said: &Line) -> Vec<Action> {
        let nick = self.nick.clone().filter(|_| self.stage == Stage::Here).unwrap_or_else(|| "*".to_owned());
        let answer = |what: &str, caps: &str| vec![tell(line(SERVER, "CAP", &[&nick, what], Some(caps)))];
        match said.param(0).to_ascii_uppercase().as_str() {
            "LS" => {
                self.negotiating |= self.stage == Stage::Begins;
                answer("LS", &CAPABILITIES.join(" "))
            }
            "LIST" => answer("LIST", &self.caps.iter().copied().collect::<Vec<_>>().join(" ")),
            "REQ" => {
                self.negotiating |= self.stage == Stage::Begins;
                let mut caps = self.caps.clone();
                for wanted in said.param(1).split_whitespace() {
                    let name = wanted.strip_prefix('-').unwrap_or(wanted);
                    let Some(known) = CAPABILITIES.into_iter().find(|known| *known == name) else {
                        // All of them or none.
                        return answer("NAK", &plain(said.param(1)));
                    };
                    if name == wanted {
                        caps.insert(known)
                    } else {
                        caps.remove(known)
                    };
                }
                self.caps = caps;
                answer("ACK", said.param(1))
            }
            "END" => {
                self.negotiating = false;
                self.begin()
            }
            _ => vec![self.number("410", &[&plain(said.param(0))], "Invalid CAP command")],
        }
    }

    fn begin(&mut self) -> Vec<Action> {
        if self.stage != Stage::Begins || self.negotiating || self.nick.is_none() || !self.user {
            return Vec::new();
        }
        self.stage = Stage::Asked;
        vec![Action::Admit(self.password.take())]
    }

    fn each(&mut self, rooms: &str, what: impl Fn(&mut Self, &str) -> Action) -> Vec<Action> {
        rooms
            .split(',')
            .filter(|room| !room.is_empty())
            .take(ROOMS_MAX)
            .map(|room| what(self, room))
            .collect()
    }

    fn join(&mut self, room: &str) -> Action {
        match channel_of(room) {
            None => self.number("403", &[&plain(room)], "No such channel"),
            Some(_) if self.rooms.len() >= ROOMS_MAX => {
                self.number("405", &[&plain(room)], "You are in as many rooms as a connection may be in")
            }
            Some(channel) => Action::Join(channel),
        }
    }

    fn part(&mut self, room: &str) -> Action {
        match channel_of(room).filter(|channel| self.rooms.contains(channel)) {
            Some(channel) => Action::Part(channel),
            None => self.number("442", &[&plain(room)], "You are not in that room"),
        }
    }

    /// It has left a room.
    pub(crate) fn parted(&mut self, channel: &ChannelName) -> Vec<Action> {
        self.rooms.remove(channel);
        vec![tell(line(&self.source(), "PART", &[&format!("#{channel}")], None))]
    }

    fn privmsg(&mut self, said: &Line) -> Vec<Action> {
        let (room, text) = (said.param(0), said.param(1));
        let Some(channel) = channel_of(room) else {
            return vec![self.number("401", &[&plain(room)], "There are no private messages here")];
        };
        if !self.rooms.contains(&channel) {
            return vec![self.number("442", &[&plain(room)], "You are not in that room: JOIN it first")];
        }
        if text.is_empty() {
            return vec![self.number("412", &[], "No text to send")];
        }
        let text = match text.strip_prefix('\u{1}') {
            None => text.to_owned(),
            Some(action) => match action.strip_prefix("ACTION ") {
                Some(action) => format!("/me {}", action.trim_end_matches('\u{1}')),
                // Clients ask each other for versions and the like.
                None => return Vec::new(),
            },
        };
        let reply_to = said.tag(REPLY).and_then(|id| Uuid::parse_str(id).ok()).map(MessageId);
        vec![Action::Say { channel, text, reply_to }]
    }
}

fn tell(text: String) -> Action {
    Action::Tell(text)
}

fn channel_of(room: &str) -> Option<ChannelName> {
    room.strip_prefix('#')?.to_ascii_lowercase().parse().ok()
}

/// What a client made up, as one parameter.
fn plain(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).take(64).collect();
    plain.trim_start_matches(':').to_owned()
}

fn badge_name(badge: Badge) -> &'static str {
    match badge {
        Badge::Broadcaster => "broadcaster",
        Badge::Admin => "admin",
        Badge::Moderator => "moderator",
        Badge::Vip => "vip",
        Badge::Subscriber => "subscriber",
        Badge::Bot => "bot",
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
