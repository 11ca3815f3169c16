//! Who may do what: every operation of the description, asked by everybody.
//!
//! A new operation needs its line in [`TABLE`]. The columns are the answers to nobody, another viewer, a moderator of the
//! channel, the streamer who owns what is asked for, and an admin of the site. What API tokens get follows from the
//! description: an operation that names a scope answers a token with it like its person, and others 403.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::ids::UserId;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::description::description;
use crate::ApiState;
use crate::accounts::{Identity, Role};
use crate::auth::Scope;
use crate::auth::tokens::issue;
use crate::channels::ChannelsConfig;
use crate::directory::tests::started;
use crate::studio::Studio;

const NOBODY: usize = 0;
const STRANGER: usize = 1;
const MODERATOR: usize = 2;
const OWNER: usize = 3;
const ADMIN: usize = 4;

/// Everybody alike.
const ALL_OK: [u16; 5] = [200; 5];
/// Whoever is signed in.
const SIGNED_IN: [u16; 5] = [401, 200, 200, 200, 200];
/// For the owner of a thing of one's own; for others it is not there.
const OWN_THING: [u16; 5] = [401, 404, 404, 204, 404];
/// What a body could set if nobody looked.
const FOREIGN_FIELDS: [&str; 6] = ["id", "owner", "role", "is_admin", "followers", "$set"];
/// Served by other crates; their own tests ask for them.
const OUTSIDE: [&str; 5] = ["getHealth", "getMedia", "getPlaylist", "getReadiness", "getVersion"];
/// Not protected against foreign pages, though they change something: there is nobody to impersonate.
const FOR_ANY_PAGE: [&str; 1] = ["sendBeat"];

/// What one plans for every week; `DAY` is two days ahead.
const PLAN: &str = r#"{"title":"Boat","starts":"DAYT12:00","time_zone":"UTC","minutes":60,"weekly":true}"#;

/// What a browser says when it made another subscription; its keys are none.
const RENEWAL: &str = r#"{"replaces":"https://push.example.org/x","endpoint":"https://push.example.org/y","keys":{"p256dh":"x","auth":"x"}}"#;
/// What a browser says of itself to be told by push.
const DEVICE: &str = r#"{"endpoint":"https://push.example.org/x","keys":{"p256dh":"x","auth":"x"}}"#;
/// The keys above are none.
const PUSH: [u16; 5] = [401, 422, 422, 422, 422];

/// A program that is told what is said.
const HOOK_BODY: &str = r#"{"name":"bot","url":"https://bot.example.org/","events":["message.sent"]}"#;

/// Operation, path, body, answers. `KEY`, `HOOK`, `SESSION`, `TOKEN`, `IDENTITY`, `PLAN` and `AVATAR` are ids of things of the owner's.
const TABLE: &[(&str, &str, &str, [u16; 5])] = &[
    // Signing in. Nothing here depends on who is signed in already.
    (
        "setUp",
        "/api/v1/setup",
        r#"{"token":"x","name":"carol","password":"plover-quartz-lantern-7"}"#,
        [403; 5],
    ),
    ("register", "/api/v1/auth/register", r#"{"name":"ada","password":"plover-quartz-lantern-7"}"#, [409; 5]),
    ("signIn", "/api/v1/auth/login", r#"{"login":"nobody","password":"plover-quartz-lantern-7"}"#, [401; 5]),
    ("finishSignIn", "/api/v1/auth/second-factor", r#"{"code":"123456"}"#, [401; 5]),
    ("renewSession", "/api/v1/auth/refresh", "", [401; 5]),
    ("signOut", "/api/v1/auth/logout", "", [204; 5]),
    (
        "resetPassword",
        "/api/v1/auth/password/reset",
        r#"{"token":"x","password":"plover-quartz-lantern-7"}"#,
        [403; 5],
    ),
    ("forgotPassword", "/api/v1/auth/password/forgot", r#"{"login":"ada"}"#, [409; 5]),
    ("verifyEmail", "/api/v1/auth/email/verify", r#"{"token":"x"}"#, [403; 5]),
    ("getSignInOptions", "/api/v1/auth/options", "", ALL_OK),
    ("listProviders", "/api/v1/oauth/providers", "", ALL_OK),
    ("beginProviderSignIn", "/oauth/google", "", [303; 5]),
    ("endProviderSignIn", "/oauth/google/callback", "", [303; 5]),
    // The own account.
    ("getMe", "/api/v1/me", "", SIGNED_IN),
    ("editMe", "/api/v1/me", r#"{"bio":"Boats."}"#, SIGNED_IN),
    ("deleteMe", "/api/v1/me", "{}", [401, 403, 403, 403, 403]),
    ("exportMe", "/api/v1/me/export", "", SIGNED_IN),
    (
        "changePassword",
        "/api/v1/me/password",
        r#"{"password":"plover-quartz-lantern-7"}"#,
        [401, 403, 403, 403, 403],
    ),
    ("askForVerification", "/api/v1/me/email/verification", "", [401, 409, 409, 409, 409]),
    ("beginSecondFactor", "/api/v1/me/totp", "", [401, 201, 201, 201, 201]),
    ("confirmSecondFactor", "/api/v1/me/totp/confirm", r#"{"code":"123456"}"#, [401, 422, 422, 422, 422]),
    ("removeSecondFactor", "/api/v1/me/totp", "{}", [401, 403, 403, 403, 403]),
    ("listSessions", "/api/v1/me/sessions", "", SIGNED_IN),
    ("endAllSessions", "/api/v1/me/sessions", "", [401, 204, 204, 204, 204]),
    ("endSession", "/api/v1/me/sessions/SESSION", "", OWN_THING),
    ("listTokens", "/api/v1/me/tokens", "", SIGNED_IN),
    ("makeToken", "/api/v1/me/tokens", r#"{"name":"backup","scopes":["read"]}"#, [401, 201, 201, 201, 201]),
    ("revokeToken", "/api/v1/me/tokens/TOKEN", "", OWN_THING),
    ("listIdentities", "/api/v1/me/identities", "", SIGNED_IN),
    ("linkIdentity", "/api/v1/me/identities/google", "", [401, 404, 404, 404, 404]),
    ("confirmIdentity", "/api/v1/me/identities/google/confirm", "", [401, 404, 404, 404, 404]),
    ("unlinkIdentity", "/api/v1/me/identities/IDENTITY", "", OWN_THING),
    ("putAvatar", "/api/v1/me/avatar", "<svg/>", [401, 422, 422, 422, 422]),
    ("deleteAvatar", "/api/v1/me/avatar", "", SIGNED_IN),
    ("listMyChannels", "/api/v1/me/channels", "", SIGNED_IN),
    ("listMyChatBans", "/api/v1/me/chat/bans", "", SIGNED_IN),
    // Nobody bans themselves.
    ("banFromMyChats", "/api/v1/me/chat/bans/bob", r#"{"reason":"spam"}"#, [401, 204, 403, 204, 204]),
    ("pardonInMyChats", "/api/v1/me/chat/bans/bob", "", [401, 204, 204, 204, 204]),
    ("listMyFollows", "/api/v1/me/follows", "", SIGNED_IN),
    ("listNotices", "/api/v1/me/notices", "", SIGNED_IN),
    ("countUnreadNotices", "/api/v1/me/notices/unread", "", SIGNED_IN),
    ("readNotices", "/api/v1/me/notices/read", r#"{"through":"x:live"}"#, [401, 404, 404, 404, 404]),
    ("getNoticeSettings", "/api/v1/me/notices/settings", "", SIGNED_IN),
    ("editNoticeSettings", "/api/v1/me/notices/settings", r#"{"enabled":true}"#, SIGNED_IN),
    ("listPushDevices", "/api/v1/me/push", "", SIGNED_IN),
    ("addPushDevice", "/api/v1/me/push/devices", DEVICE, PUSH),
    ("renewPushDevice", "/api/v1/push/renewals", RENEWAL, [422; 5]),
    ("removePushDevice", "/api/v1/me/push/devices/0000", "", [401, 404, 404, 404, 404]),
    // Administration.
    ("getAccount", "/api/v1/admin/users/eve", "", [401, 403, 403, 403, 200]),
    ("editAccount", "/api/v1/admin/users/eve", r#"{"banned":true}"#, [401, 403, 403, 403, 200]),
    ("makeResetLink", "/api/v1/admin/users/eve/reset-link", "", [401, 403, 403, 403, 201]),
    ("makeInvitation", "/api/v1/admin/invitations", "", [401, 403, 403, 403, 201]),
    ("listAudit", "/api/v1/admin/audit", "", [401, 403, 403, 403, 200]),
    ("getSiteSettings", "/api/v1/admin/site", "", [401, 403, 403, 403, 200]),
    ("editSiteSettings", "/api/v1/admin/site", r#"{"name":"Boats"}"#, [401, 403, 403, 403, 200]),
    ("listSiteChanges", "/api/v1/admin/site/history", "", [401, 403, 403, 403, 200]),
    ("undoSiteChange", "/api/v1/admin/site/history/1/undo", "", [401, 403, 403, 403, 200]),
    ("listSiteEmotes", "/api/v1/admin/emotes", "", [401, 403, 403, 403, 200]),
    ("putSiteEmote", "/api/v1/admin/emotes/Oak", "<svg/>", [401, 403, 403, 403, 422]),
    ("deleteSiteEmote", "/api/v1/admin/emotes/Oak", "", [401, 403, 403, 403, 204]),
    ("listSiteChatBans", "/api/v1/admin/chat/bans", "", [401, 403, 403, 403, 200]),
    ("banFromAllChats", "/api/v1/admin/chat/bans/eve", r#"{"reason":"spam"}"#, [401, 403, 403, 403, 204]),
    ("pardonInAllChats", "/api/v1/admin/chat/bans/eve", "", [401, 403, 403, 403, 204]),
    ("listReports", "/api/v1/admin/reports", "", [401, 403, 403, 403, 200]),
    (
        "resolveReport",
        "/api/v1/admin/reports/REPORT/resolve",
        r#"{"outcome":"warned"}"#,
        [401, 403, 403, 403, 200],
    ),
    // What is live, and who is who.
    ("listStreams", "/api/v1/streams", "", ALL_OK),
    ("getStream", "/api/v1/streams/studio", "", ALL_OK),
    ("sendBeat", "/api/v1/streams/studio/beats", r#"{"viewer":"9f86d081884c7d65"}"#, ALL_OK),
    ("getPerson", "/api/v1/users/ada", "", ALL_OK),
    ("getAvatar", "/avatars/AVATAR", "", ALL_OK),
    ("reportPerson", "/api/v1/users/ada/reports", r#"{"reason":"spam"}"#, [401, 204, 204, 409, 204]),
    // Channels.
    ("searchChannels", "/api/v1/channels?q=studio", "", ALL_OK),
    ("createChannel", "/api/v1/channels", r#"{"name":"garage"}"#, [401, 403, 403, 201, 201]),
    ("getChannel", "/api/v1/channels/studio", "", ALL_OK),
    ("editChannel", "/api/v1/channels/studio", r#"{"title":"Boat"}"#, [401, 403, 403, 200, 200]),
    ("deleteChannel", "/api/v1/channels/studio", "", [401, 403, 403, 204, 204]),
    ("getChannelStream", "/api/v1/channels/studio/stream", "", [401, 403, 200, 200, 200]),
    ("stopStream", "/api/v1/channels/studio/stream/stop", "", [401, 403, 403, 202, 202]),
    // No other channel is live.
    ("startRaid", "/api/v1/channels/studio/raid", r#"{"target":"garage"}"#, [401, 403, 403, 422, 422]),
    ("getRaid", "/api/v1/channels/studio/raid", "", [401, 403, 403, 404, 404]),
    ("cancelRaid", "/api/v1/channels/studio/raid", "", [401, 403, 403, 204, 204]),
    ("listBroadcasts", "/api/v1/channels/studio/broadcasts", "", ALL_OK),
    ("listModerators", "/api/v1/channels/studio/moderators", "", [401, 403, 200, 200, 200]),
    ("addModerator", "/api/v1/channels/studio/moderators/eve", "", [401, 403, 403, 204, 204]),
    ("removeModerator", "/api/v1/channels/studio/moderators/bob", "", [401, 403, 403, 204, 204]),
    ("listStreamKeys", "/api/v1/channels/studio/keys", "", [401, 403, 403, 200, 200]),
    ("createStreamKey", "/api/v1/channels/studio/keys", r#"{"name":"OBS"}"#, [401, 403, 403, 201, 201]),
    ("revokeStreamKey", "/api/v1/channels/studio/keys/KEY", "", [401, 403, 403, 204, 204]),
    ("rotateStreamKey", "/api/v1/channels/studio/keys/KEY/rotate", "", [401, 403, 403, 201, 201]),
    ("listWebhooks", "/api/v1/channels/studio/webhooks", "", [401, 403, 403, 200, 200]),
    ("createWebhook", "/api/v1/channels/studio/webhooks", HOOK_BODY, [401, 403, 403, 201, 201]),
    (
        "editWebhook",
        "/api/v1/channels/studio/webhooks/HOOK",
        r#"{"enabled":true}"#,
        [401, 403, 403, 200, 200],
    ),
    ("deleteWebhook", "/api/v1/channels/studio/webhooks/HOOK", "", [401, 403, 403, 204, 204]),
    ("rotateWebhookSecret", "/api/v1/channels/studio/webhooks/HOOK/rotate", "", [401, 403, 403, 201, 201]),
    ("testWebhook", "/api/v1/channels/studio/webhooks/HOOK/test", "", [401, 403, 403, 202, 202]),
    (
        "listWebhookDeliveries",
        "/api/v1/channels/studio/webhooks/HOOK/deliveries",
        "",
        [401, 403, 403, 200, 200],
    ),
    ("followChannel", "/api/v1/channels/studio/follow", "", [401, 204, 204, 204, 204]),
    ("unfollowChannel", "/api/v1/channels/studio/follow", "", [401, 204, 204, 204, 204]),
    ("muteChannel", "/api/v1/channels/studio/follow", r#"{"muted":true}"#, [401, 404, 404, 404, 404]),
    ("listFollowers", "/api/v1/channels/studio/followers", "", [401, 403, 403, 200, 200]),
    ("listBlocks", "/api/v1/channels/studio/blocks", "", [401, 403, 200, 200, 200]),
    ("blockPerson", "/api/v1/channels/studio/blocks/eve", "", [401, 403, 204, 204, 204]),
    ("unblockPerson", "/api/v1/channels/studio/blocks/eve", "", [401, 403, 204, 204, 204]),
    ("getChat", "/api/v1/channels/studio/chat", "", ALL_OK),
    ("editChat", "/api/v1/channels/studio/chat", r#"{"slow_mode_s":5}"#, [401, 403, 200, 200, 200]),
    ("listChatMessages", "/api/v1/channels/studio/chat/messages", "", ALL_OK),
    ("clearChat", "/api/v1/channels/studio/chat/messages", "", [401, 403, 204, 204, 204]),
    (
        "deleteChatMessage",
        "/api/v1/channels/studio/chat/messages/0198c6d2-0000-7000-8000-00000000dead",
        "",
        [401, 404, 204, 204, 204],
    ),
    ("listHeldMessages", "/api/v1/channels/studio/chat/held", "", [401, 403, 200, 200, 200]),
    (
        "reviewHeldMessage",
        "/api/v1/channels/studio/chat/held/0198c6d2-0000-7000-8000-00000000dead",
        r#"{"decision":"allow"}"#,
        [401, 403, 404, 404, 404],
    ),
    ("getPoll", "/api/v1/channels/studio/chat/poll", "", ALL_OK),
    (
        "openPoll",
        "/api/v1/channels/studio/chat/polls",
        r#"{"question":"Which boat?","answers":["The dinghy","The barge"],"seconds":60}"#,
        [401, 403, 409, 409, 409],
    ),
    (
        "votePoll",
        "/api/v1/channels/studio/chat/polls/POLL/vote",
        r#"{"answer":0}"#,
        [401, 204, 204, 204, 204],
    ),
    ("closePoll", "/api/v1/channels/studio/chat/polls/POLL/close", "", [401, 403, 200, 200, 200]),
    ("listChatSanctions", "/api/v1/channels/studio/chat/sanctions", "", [401, 403, 200, 200, 200]),
    (
        "sanctionChatter",
        "/api/v1/channels/studio/chat/sanctions/eve",
        r#"{"seconds":60}"#,
        [401, 403, 204, 204, 204],
    ),
    ("pardonChatter", "/api/v1/channels/studio/chat/sanctions/eve", "", [401, 403, 204, 204, 204]),
    (
        "pinChatMessage",
        "/api/v1/channels/studio/chat/pinned",
        r#"{"message":"0198c6d2-0000-7000-8000-00000000dead"}"#,
        [401, 403, 404, 404, 404],
    ),
    ("unpinChatMessage", "/api/v1/channels/studio/chat/pinned", "", [401, 403, 204, 204, 204]),
    ("listEmotes", "/api/v1/channels/studio/chat/emotes", "", ALL_OK),
    ("putEmote", "/api/v1/channels/studio/chat/emotes/Oak", "<svg/>", [401, 403, 403, 422, 422]),
    ("deleteEmote", "/api/v1/channels/studio/chat/emotes/Oak", "", [401, 403, 403, 204, 204]),
    ("getEmote", "/emotes/EMOTE", "", ALL_OK),
    ("honourChatter", "/api/v1/channels/studio/chat/vips/eve", "", [401, 403, 403, 204, 204]),
    ("dishonourChatter", "/api/v1/channels/studio/chat/vips/eve", "", [401, 403, 403, 204, 204]),
    ("listSubscribers", "/api/v1/channels/studio/subscribers", "", [401, 403, 200, 200, 200]),
    ("getSubscriber", "/api/v1/channels/studio/subscribers/bob", "", [401, 403, 404, 404, 404]),
    ("addSubscriber", "/api/v1/channels/studio/subscribers/eve", "{}", [401, 403, 403, 204, 204]),
    ("removeSubscriber", "/api/v1/channels/studio/subscribers/eve", "", [401, 403, 403, 204, 204]),
    ("reportChannel", "/api/v1/channels/studio/reports", r#"{"reason":"spam"}"#, [401, 204, 204, 409, 204]),
    ("listSchedule", "/api/v1/channels/studio/schedule", "", ALL_OK),
    ("getCalendar", "/api/v1/channels/studio/schedule.ics", "", ALL_OK),
    ("listUpcoming", "/api/v1/me/upcoming", "", SIGNED_IN),
    ("listPlans", "/api/v1/channels/studio/plans", "", [401, 403, 403, 200, 200]),
    ("addPlan", "/api/v1/channels/studio/plans", PLAN, [401, 403, 403, 201, 201]),
    ("editPlan", "/api/v1/channels/studio/plans/PLAN", PLAN, [401, 403, 403, 200, 200]),
    ("removePlan", "/api/v1/channels/studio/plans/PLAN", "", [401, 403, 403, 204, 204]),
    ("cancelPlannedDay", "/api/v1/channels/studio/plans/PLAN/cancelled/DAY", "", [401, 403, 403, 200, 200]),
    ("restorePlannedDay", "/api/v1/channels/studio/plans/PLAN/cancelled/DAY", "", [401, 403, 403, 200, 200]),
    // The server.
    ("getSite", "/api/v1/site", "", ALL_OK),
    ("listPublicKeys", "/.well-known/jwks.json", "", ALL_OK),
    ("getDescription", "/api/openapi.json", "", ALL_OK),
];

/// How a request says who it comes from.
#[derive(Clone)]
enum As {
    /// A page of this site; with the cookies of somebody, or of nobody.
    Page(Option<String>),
    /// A page that lacks the CSRF token.
    Careless(String),
    /// A page of another site, in the browser of somebody.
    Foreign(String),
    /// A script with an API token.
    Script(String),
}

/// A site with one of everybody, `studio` of ada's which is live, and one thing of each kind of hers.
struct World {
    state: ApiState,
    router: axum::Router,
    people: [(UserId, String); 5],
    ids: BTreeMap<&'static str, String>,
    _pictures: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let pictures = tempfile::tempdir().unwrap();
        let avatars = pictures.path().join("avatars");
        let (state, _) = ApiState::for_tests_with(|setup| {
            // Everybody asks for everything here, and has tests of its own for how often.
            let limits = &mut setup.accounts.limits;
            for limit in [&mut limits.login_address, &mut limits.login_account, &mut limits.code_account] {
                limit.burst = 0;
            }
            limits.link_address.burst = 0;
            limits.register_address.burst = 0;
        })
        .await;
        let studio = Studio::new(
            state.store().clone(),
            MemoryBus::new(),
            "test".parse().unwrap(),
            ChannelsConfig::default(),
        );
        let state = state.with_studio(Arc::new(studio.with_folder(pictures.path())));
        let mut people = [const { (UserId(uuid::Uuid::nil()), String::new()) }; 5];
        let everybody = [
            (STRANGER, "eve", Role::Viewer),
            (MODERATOR, "bob", Role::Viewer),
            (OWNER, "ada", Role::Streamer),
            (ADMIN, "root", Role::Admin),
        ];
        for (at, name, role) in everybody {
            let (user, bearer) = state.sign_in_for_tests(name, role).await;
            people[at] = (user.id, bearer.trim_start_matches("Bearer ").to_owned());
        }
        let router = crate::router(state.clone());
        let mut world = Self { state, router, people, ids: BTreeMap::new(), _pictures: pictures };
        world.ask("POST", "/api/v1/channels", &world.page(OWNER), r#"{"name":"studio"}"#).await;
        world.ask("PUT", "/api/v1/channels/studio/moderators/bob", &world.page(OWNER), "").await;
        let key =
            world.ask("POST", "/api/v1/channels/studio/keys", &world.page(OWNER), r#"{"name":"OBS"}"#).await;
        world.ids.insert("KEY", key.1["id"].as_str().unwrap().to_owned());
        let hook = world.ask("POST", "/api/v1/channels/studio/webhooks", &world.page(OWNER), HOOK_BODY).await;
        world.ids.insert("HOOK", hook.1["id"].as_str().unwrap().to_owned());
        world.state.directory.write().unwrap().apply(&started("studio", 1));
        world.state.studio().learn_for_tests("studio").await;
        world.add_things_of_hers(&avatars).await;
        world.ask("PATCH", "/api/v1/admin/site", &world.page(ADMIN), r#"{"contact":"root"}"#).await;
        world
    }

    async fn add_things_of_hers(&mut self, avatars: &std::path::Path) {
        use millrace_store::Document;
        let (state, ada) = (self.state.clone(), self.people[OWNER].0);
        let session = millrace_core::ids::SessionId(state.new_id());
        state
            .sessions()
            .begin(session, ada, "Firefox on Linux".into(), state.now_ms(), 60_000)
            .await
            .unwrap();
        self.ids.insert("SESSION", session.to_string());
        let scopes = [Scope::Read].into_iter().collect();
        let (token, _) = issue(state.new_id(), ada, "backup".into(), scopes, state.now_ms(), None);
        state.tokens().add(&token).await.unwrap();
        self.ids.insert("TOKEN", token.id.to_string());
        for subject in ["1", "2"] {
            let identity = Identity {
                provider: "google".into(),
                subject: subject.into(),
                user: ada,
                email: None,
                linked_at: state.now_ms(),
            };
            state.store().insert(&identity).await.unwrap();
            self.ids.insert("IDENTITY", identity.id());
        }
        let day = crate::auth::people::time(state.now_ms() + 2 * 24 * 3_600_000).to_string();
        self.ids.insert("DAY", day[..10].to_owned());
        let plan = self.ask("POST", "/api/v1/channels/studio/plans", &self.page(OWNER), PLAN).await;
        self.ids.insert("PLAN", plan.1["id"].as_str().unwrap().to_owned());
        let poll = r#"{"question":"Which?","answers":["this","that"],"seconds":600}"#;
        let poll = self.ask("POST", "/api/v1/channels/studio/chat/polls", &self.page(OWNER), poll).await;
        self.ids.insert("POLL", poll.1["id"].as_str().unwrap().to_owned());
        let spam = r#"{"reason":"spam"}"#;
        self.ask("POST", "/api/v1/users/bob/reports", &self.page(STRANGER), spam).await;
        let reports = self.ask("GET", "/api/v1/admin/reports", &self.page(ADMIN), "").await;
        self.ids.insert("REPORT", reports.1["items"][0]["id"].as_str().unwrap().to_owned());
        let avatar = state.new_id().to_string();
        std::fs::create_dir_all(avatars).unwrap();
        std::fs::write(avatars.join(&avatar), b"picture").unwrap();
        let emotes = avatars.parent().unwrap().join("emotes");
        std::fs::create_dir_all(&emotes).unwrap();
        std::fs::write(emotes.join(&avatar), b"picture").unwrap();
        self.ids.insert("EMOTE", avatar.clone());
        self.ids.insert("AVATAR", avatar);
    }

    fn page(&self, who: usize) -> As {
        As::Page((who != NOBODY).then(|| self.people[who].1.clone()))
    }

    async fn script(&self, who: usize, scopes: impl IntoIterator<Item = Scope>) -> As {
        let (state, scopes) = (&self.state, scopes.into_iter().collect());
        let (token, secret) =
            issue(state.new_id(), self.people[who].0, "x".into(), scopes, state.now_ms(), None);
        state.tokens().add(&token).await.unwrap();
        As::Script(secret.reveal().to_owned())
    }

    fn filled(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
    }

    async fn ask(&self, method: &str, path: &str, who: &As, body: &str) -> (u16, Value) {
        let csrf = "x".repeat(43);
        let mut request =
            Request::builder().method(method).uri(self.filled(path)).header(header::HOST, "live.test");
        let cookies = |access: &str| format!("millrace_access={access}; millrace_csrf={csrf}");
        request = match who {
            As::Page(None) => request.header(header::ORIGIN, "http://live.test"),
            As::Page(Some(access)) => request
                .header(header::ORIGIN, "http://live.test")
                .header(header::COOKIE, cookies(access))
                .header("x-csrf-token", &csrf),
            As::Careless(access) => {
                request.header(header::ORIGIN, "http://live.test").header(header::COOKIE, cookies(access))
            }
            As::Foreign(access) => request
                .header(header::ORIGIN, "http://evil.test")
                .header(header::COOKIE, cookies(access))
                .header("x-csrf-token", &csrf),
            As::Script(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        };
        if !body.is_empty() {
            let kind = if body.starts_with('<') { "image/png" } else { "application/json" };
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(self.filled(body))).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// One operation as the description has it.
struct Operation {
    method: String,
    path: String,
    value: Value,
}

impl Operation {
    /// The scope that an API token needs; `None` if none may, empty if any may.
    fn scopes(&self) -> Option<Vec<Scope>> {
        let tokens = self.value["security"].as_array().unwrap().iter().find_map(|one| one.get("token"))?;
        Some(serde_json::from_value(tokens.clone()).unwrap())
    }

    fn changes_something(&self) -> bool {
        self.method != "GET"
    }

    /// Whether the description says that the operation can answer so.
    fn says(&self, status: u16, answer: &Value) -> bool {
        let response = &self.value["responses"][status.to_string()];
        if status < 400 {
            return response.is_object();
        }
        let kind = answer["type"].as_str().unwrap_or_default().trim_start_matches("/problems/");
        response["content"]["application/problem+json"]["examples"].get(kind).is_some()
    }

    /// The schema of the JSON body.
    fn body<'a>(&self, document: &'a Value) -> Option<&'a Map<String, Value>> {
        let reference =
            self.value["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()?;
        document.pointer(reference.trim_start_matches('#'))?["properties"].as_object()
    }
}

fn operations(document: &Value) -> BTreeMap<String, Operation> {
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, value) in item.as_object().unwrap().iter().filter(|(_, value)| value.is_object()) {
            let id = value["operationId"].as_str().unwrap().to_owned();
            let operation =
                Operation { method: method.to_uppercase(), path: path.clone(), value: value.clone() };
            operations.insert(id, operation);
        }
    }
    operations
}

fn document() -> Value {
    serde_json::to_value(description()).unwrap()
}

/// Whether `path` is one of `template`.
fn fits(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (template, path) = (parts(template), parts(path));
    template.len() == path.len()
        && template.iter().zip(&path).all(|(template, part)| template.starts_with('{') || template == part)
}

#[test]
fn every_operation_is_in_the_table() {
    let document = document();
    let operations = operations(&document);
    let table: BTreeSet<_> = TABLE.iter().map(|line| line.0).chain(OUTSIDE).collect();
    let described: BTreeSet<_> = operations.keys().map(String::as_str).collect();
    assert_eq!(table, described, "the table of who may do what and the description differ");
    assert_eq!(TABLE.len() + OUTSIDE.len(), described.len(), "an operation has two lines");
    for (id, path, ..) in TABLE {
        assert!(fits(&operations[*id].path, path), "{id} is at {}, not {path}", operations[*id].path);
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says() {
    let document = document();
    let operations = operations(&document);
    let mut world = World::new().await;
    for (id, path, body, expected) in TABLE {
        let operation = &operations[*id];
        for (who, expected) in expected.iter().enumerate() {
            let (status, answer) = world.ask(&operation.method, path, &world.page(who), body).await;
            assert_eq!(status, *expected, "{id} by {who}: {answer}");
            assert!(operation.says(status, &answer), "{id} is not described to answer {status}: {answer}");
            if operation.changes_something() && status < 300 {
                world = World::new().await;
            }
        }
    }
}

#[tokio::test]
async fn api_tokens_do_what_their_scope_says_and_no_more() {
    let document = document();
    let operations = operations(&document);
    let mut world = World::new().await;
    for (id, path, body, expected) in TABLE {
        let operation = &operations[*id];
        let who = if expected[OWNER] == 403 && expected[ADMIN] < 300 { ADMIN } else { OWNER };
        let all = [Scope::Read, Scope::Channels, Scope::Chat, Scope::Admin];
        let public = operation.value["security"].as_array().unwrap().contains(&json!({}));
        let scopes = operation.scopes();
        let without = match &scopes {
            _ if public => None,
            Some(needed) => Some(all.into_iter().filter(|scope| !needed.contains(scope)).collect()),
            None => Some(all.to_vec()),
        };
        if let Some(without) = without {
            let script = world.script(who, without).await;
            let (status, answer) = world.ask(&operation.method, path, &script, body).await;
            assert_eq!(status, 403, "{id} by a token without the scope: {answer}");
            assert!(operation.says(status, &answer), "{id} is not described to answer {status}: {answer}");
        }
        if let Some(needed) = scopes {
            let script = world.script(who, if needed.is_empty() { vec![Scope::Chat] } else { needed }).await;
            let (status, answer) = world.ask(&operation.method, path, &script, body).await;
            assert_eq!(status, expected[who], "{id} by a token with the scope: {answer}");
            let revoked = As::Script("mr_0000000000000000000000000000000000000000000".into());
            let (status, answer) = world.ask(&operation.method, path, &revoked, body).await;
            assert_eq!(status, 401, "{id} by a token that is none: {answer}");
            assert!(operation.says(status, &answer), "{id} is not described to answer {status}: {answer}");
            if operation.changes_something() {
                world = World::new().await;
            }
        }
    }
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let document = document();
    let operations = operations(&document);
    let world = World::new().await;
    for (id, path, body, expected) in TABLE.iter().filter(|line| operations[line.0].changes_something()) {
        let operation = &operations[*id];
        let (admin, method) = (world.people[ADMIN].1.clone(), &operation.method);
        if FOR_ANY_PAGE.contains(id) {
            assert_eq!(world.ask(method, path, &As::Foreign(admin), body).await.0, expected[ADMIN], "{id}");
            continue;
        }
        for (who, kind) in [(As::Foreign(admin.clone()), "foreign-origin"), (As::Careless(admin), "csrf")] {
            let (status, answer) = world.ask(method, path, &who, body).await;
            let told = answer["type"].as_str().unwrap_or_default();
            assert_eq!((status, told), (403, format!("/problems/{kind}").as_str()), "{id}");
            assert!(operation.says(status, &answer), "{id} is not described to answer {kind}");
        }
    }
}

/// Where the values of a body are, those inside of others too.
fn leaves(body: &Map<String, Value>) -> Vec<String> {
    fn walk(at: String, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| walk(format!("{at}/{name}"), value, found));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| walk(format!("{at}/{index}"), value, found));
            }
            _ => found.push(at),
        }
    }
    let mut found = Vec::new();
    walk(String::new(), &body.clone().into(), &mut found);
    found
}

#[tokio::test]
async fn no_field_takes_an_operator_and_no_body_takes_another_field() {
    let document = document();
    let operations = operations(&document);
    let world = World::new().await;
    let mut fields = 0;
    for (id, path, body, _) in TABLE {
        let operation = &operations[*id];
        let Some(properties) = operation.body(&document) else { continue };
        let good: Map<String, Value> = serde_json::from_str(body).unwrap();
        let mut bad: Vec<Value> =
            vec![json!([]), json!("x"), json!([{ "$gt": "" }]), json!({ "$where": "1" })];
        for field in properties.keys() {
            fields += 1;
            for value in
                [json!({ "$gt": "" }), json!([{ "$ne": null }]), json!([[["x"]]]), json!({ "$in": [[]] })]
            {
                let mut changed = good.clone();
                changed.insert(field.clone(), value);
                bad.push(changed.into());
            }
        }
        for pointer in leaves(&good) {
            fields += 1;
            for value in [json!({ "$gt": "" }), json!([{ "$ne": null }])] {
                let mut changed = Value::from(good.clone());
                *changed.pointer_mut(&pointer).unwrap() = value;
                bad.push(changed);
            }
        }
        for field in FOREIGN_FIELDS.iter().filter(|field| !properties.contains_key(**field)) {
            let mut changed = good.clone();
            changed.insert((*field).to_owned(), json!("admin"));
            bad.push(changed.into());
        }
        for body in bad {
            let (status, answer) =
                world.ask(&operation.method, path, &world.page(ADMIN), &body.to_string()).await;
            let expected = if *id == "sendBeat" { 400 } else { 422 };
            assert_eq!(status, expected, "{id} by {body}: {answer}");
            assert!(operation.says(status, &answer), "{id} is not described to answer {status}: {answer}");
        }
    }
    assert!(fields > 25, "{fields} fields");
}

#[tokio::test]
async fn what_is_no_name_in_a_path_names_nothing() {
    let document = document();
    let operations = operations(&document);
    let world = World::new().await;
    for (id, path, body, _) in TABLE {
        let operation = &operations[*id];
        if !operation.path.contains('{') {
            continue;
        }
        for bad in ["%ff", "%00", "%24ne", "..%2f..%2fx", "%F0%9F%9A%80", &"a".repeat(300)] {
            let parts: Vec<_> = operation.path.split('/').zip(path.split('/')).collect();
            let all: Vec<_> = parts
                .iter()
                .map(|(template, part)| if template.starts_with('{') { bad } else { part })
                .collect();
            let (status, answer) =
                world.ask(&operation.method, &all.join("/"), &world.page(ADMIN), body).await;
            let redirected = operation.path.starts_with("/oauth/") && status == 303;
            assert!(status == 404 || redirected, "{id} answers {bad} with {status}: {answer}");
            assert!(operation.says(status, &answer), "{id} is not described to answer {status}: {answer}");
        }
    }
}
