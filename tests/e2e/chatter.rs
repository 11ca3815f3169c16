//! Somebody in a chat room, by its WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use millrace_api::accounts::{Role, User};
use millrace_api::auth::tokens::{ApiToken, Tokens};
use millrace_api::auth::{Scope, Secret};
use millrace_core::ids::UserId;
use millrace_store::Store;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const SOON: Duration = Duration::from_secs(20);

/// Somebody with an account.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) token: Secret,
}

/// Keeps an account that may speak, with an API token.
pub(crate) async fn join(store: &Store, number: u128, name: &str) -> Person {
    let token = Secret::random("mr_");
    let id = UserId(uuid::Uuid::from_u128(0x0198_c6d2_0000_7000_8000_0000_0000_0000 + number));
    let user = User {
        id,
        name: name.parse().unwrap(),
        display_name: name.to_uppercase(),
        email: None,
        new_email: None,
        email_verified: false,
        password: None,
        role: Role::Streamer,
        bio: String::new(),
        avatar: None,
        created_at: 1,
        banned_at: None,
    };
    store.insert(&user).await.unwrap();
    let record = ApiToken {
        id: id.0,
        user: id,
        name: "test".to_owned(),
        hash: token.hash(),
        hint: String::new(),
        scopes: [Scope::Read, Scope::Channels, Scope::Chat].into_iter().collect(),
        created_at: 1,
        last_used_at: None,
        expires_at: None,
    };
    Tokens::new(store.clone()).add(&record).await.unwrap();
    Person { name: name.to_owned(), token }
}

/// One connection.
pub(crate) struct Chat(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Chat {
    /// Connects to the room at an `http://` address, as somebody or as nobody.
    pub(crate) async fn connect(url: &str, token: Option<&Secret>) -> Result<Self, Error> {
        let mut request = url.replacen("http", "ws", 1).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "millrace.chat.v1".parse().unwrap());
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {}", token.reveal()).parse().unwrap());
        }
        Ok(Self(tokio_tungstenite::connect_async(request).await?.0))
    }

    /// Sends a frame.
    pub(crate) async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Sends a message, and waits for nothing.
    pub(crate) async fn send(&mut self, nonce: &str, text: &str) {
        self.say(&json!({ "type": "send", "nonce": nonce, "text": text })).await;
    }

    /// The next frame; `None`: the server closed, with the code and the reason.
    pub(crate) async fn frame(&mut self) -> Result<Value, (u16, String)> {
        loop {
            let next = tokio::time::timeout(SOON, self.0.next()).await.expect("the server says something");
            match next {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err((close.code.into(), close.reason.to_string()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err((0, "gone".to_owned())),
            }
        }
    }

    /// The code with which the server closes.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err((code, _)) = self.frame().await {
                return code;
            }
        }
    }

    /// The next frame of this type.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await.unwrap();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The texts of the next `count` messages.
    pub(crate) async fn hears(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            heard.extend(texts(&self.next("messages").await));
        }
        heard
    }

    /// Says something and waits until it is acknowledged.
    pub(crate) async fn said(&mut self, nonce: &str, text: &str) -> String {
        self.send(nonce, text).await;
        loop {
            let frame = self.frame().await.unwrap();
            if frame["type"] == "ack" && frame["nonce"] == nonce {
                return frame["id"].as_str().unwrap().to_owned();
            }
            assert_ne!(frame["type"], "refused", "{frame}");
        }
    }

    /// Says something that is not said; why.
    pub(crate) async fn refused(&mut self, nonce: &str, text: &str) -> Value {
        self.send(nonce, text).await;
        self.next("refused").await
    }
}

/// What the messages of a frame say.
pub(crate) fn texts(frame: &Value) -> Vec<String> {
    frame["messages"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect()
}
