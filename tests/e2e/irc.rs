//! Chat by IRC: a bot and the page talk to each other, and whoever does not keep the rules is told.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::chat::Site;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(20);

struct Irc(BufReader<TcpStream>);

impl Irc {
    async fn connect(site: &Site) -> Self {
        let (plain, _) = site.server.irc();
        Self(BufReader::new(TcpStream::connect(plain.expect("it speaks IRC")).await.unwrap()))
    }

    async fn says(&mut self, lines: &str) {
        self.0.write_all(lines.as_bytes()).await.unwrap();
    }

    /// The next line with this in it; those before are passed over.
    async fn hears(&mut self, part: &str) -> String {
        let mut passed = Vec::new();
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(SOON, self.0.read_line(&mut line)).await;
            let count =
                read.unwrap_or_else(|_| panic!("no {part:?} within {SOON:?}, but {passed:#?}")).unwrap();
            assert!(count > 0, "the connection ended before {part:?}: {passed:#?}");
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
            passed.push(line);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_irc_and_the_page_talk_in_one_room() {
    let settings = [("MILLRACE_IRC_ADDR", "127.0.0.1:0"), ("MILLRACE_CHAT__FRAMES_PER_10S", "40")];
    let site = Site::of(&["ada", "bot"], &settings).await;
    let (mut page, _) = site.enter(Some(0), None).await;
    let mut irc = Irc::connect(&site).await;
    irc.says("CAP LS 302\r\nCAP REQ :message-tags server-time standard-replies\r\n").await;
    irc.says(&format!("PASS oauth:{}\r\nNICK anything\r\nUSER a 0 * :A\r\nCAP END\r\n", site.token(1))).await;
    irc.hears(" 001 bot ").await;
    irc.says("JOIN #nobody\r\n").await;
    irc.hears(" 403 bot #nobody ").await;
    irc.says("JOIN #studio\r\n").await;
    irc.hears(":bot!bot@millrace JOIN #studio").await;

    let id = page.said("n1", "hello @bot").await;
    let heard = irc.hears("PRIVMSG #studio :hello @bot").await;
    assert!(
        heard.contains(&format!("msgid={id}")) && heard.contains(";millrace.dev/badges=broadcaster,bot"),
        "{heard}"
    );
    irc.says(&format!(
        "@+draft/reply={id} PRIVMSG #studio :hello yourself\r\nPRIVMSG #studio :\u{1}ACTION waves\u{1}\r\n"
    ))
    .await;
    let mut read = Vec::new();
    while read.len() < 2 {
        let frame = page.next("messages").await;
        let all = frame["messages"].as_array().unwrap().iter();
        read.extend(all.filter(|message| message["author"]["name"] == "bot").cloned());
    }
    assert_eq!((&read[0]["text"], &read[0]["reply_to"]["id"]), (&json!("hello yourself"), &json!(id)));
    assert_eq!((&read[1]["text"], &read[1]["kind"]), (&json!("waves"), &json!("action")));

    // The rules of the room hold, and one's own words are not heard again.
    let (status, answer) =
        site.ask(0, "PUT", "/channels/studio/chat/sanctions/bot", Some(json!({ "reason": "spam" }))).await;
    assert!(status < 300, "{answer}");
    until("the ban holds", SOON, || async {
        site.ask(0, "GET", "/channels/studio/chat/sanctions", None).await.1["items"][0]
            .is_object()
            .then_some(())
    })
    .await;
    irc.says("PRIVMSG #studio :and again\r\n").await;
    let refused = irc.hears("#studio :").await;
    assert!(refused.starts_with(":millrace FAIL PRIVMSG BANNED #studio :"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_no_irc_or_too_much_of_it_is_told_and_cut_off() {
    let settings = [("MILLRACE_IRC_ADDR", "127.0.0.1:0"), ("MILLRACE_CHAT__IRC_CONNECTIONS", "3")];
    let site = Site::of(&["ada"], &settings).await;
    let mut wrong = Irc::connect(&site).await;
    wrong.says("PASS mr_not_a_token\r\nNICK a\r\nUSER a 0 * :A\r\n").await;
    wrong.hears(" 464 * :").await;
    wrong.hears("ERROR :").await;

    let mut guest = Irc::connect(&site).await;
    guest.says("NICK eve\r\nUSER a 0 * :A\r\nJOIN #studio\r\n").await;
    guest.hears(" 366 guest_eve #studio ").await;
    guest.says("PRIVMSG #studio :hello\r\n").await;
    guest.hears(" 404 guest_eve #studio :You read only").await;
    guest.says(&format!("PRIVMSG #studio :{}\r\nPING x\r\n", "x".repeat(10_000))).await;
    guest.hears(" 417 ").await;
    guest.hears(" PONG ").await;
    guest.says(&"PING x\r\n".repeat(200)).await;
    guest.hears("ERROR :Too many lines").await;

    // Three at once, when those before have let go: the fourth is closed, and the others go on.
    drop((wrong, guest));
    let mut others = Vec::new();
    while others.len() < 3 {
        let one = until("there is a place", SOON, || async {
            let mut one = Irc::connect(&site).await;
            let _ = one.0.write_all(b"PING :here\r\n").await;
            let mut answer = String::new();
            let _ = one.0.read_line(&mut answer).await;
            answer.contains("PONG").then_some(one)
        });
        others.push(one.await);
    }
    let mut fourth = Irc::connect(&site).await;
    let mut rest = Vec::new();
    let _ = fourth.0.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "it got a place: {}", String::from_utf8_lossy(&rest));
    let last = others.last_mut().unwrap();
    last.says("PING :there\r\n").await;
    last.hears("PONG millrace :there").await;
    site.server.assert_calm();
}
