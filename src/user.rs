//! `millrace user`: accounts on the command line, on the store itself. The server may run meanwhile.

use anyhow::Context;
use millrace_api::accounts::{COLLECTIONS, Role};
use millrace_api::auth::Secret;
use millrace_api::auth::by_hand::ByHand;
use millrace_store::Store;

use crate::cli::{UserCommand, UserRole};
use crate::config::Config;

pub(crate) fn run(command: UserCommand) -> anyhow::Result<()> {
    let file = match &command {
        UserCommand::Create { file, .. }
        | UserCommand::SetRole { file, .. }
        | UserCommand::ResetPassword { file, .. } => file,
    };
    let config = Config::load(file.config.as_deref(), None)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(execute(command, &config))
}

async fn execute(command: UserCommand, config: &Config) -> anyhow::Result<()> {
    let by_hand = open(config).await?;
    let nobody = |name: &str| format!("nobody is called {name}");
    match command {
        UserCommand::Create { name, email, role, .. } => {
            let email = email.map(|email| email.parse()).transpose()?;
            let made = by_hand.create(name.parse()?, email, role.into()).await;
            let token = made.map_err(|error| anyhow::anyhow!("no account was made: {}", error.0.detail()))?;
            print_link(config, &name, &token);
        }
        UserCommand::SetRole { name, role, .. } => {
            let role = Role::from(role);
            anyhow::ensure!(by_hand.set_role(&name, role).await?, nobody(&name));
            crate::say(&format!("{name} is now {}", format!("{role:?}").to_lowercase()));
        }
        UserCommand::ResetPassword { name, .. } => {
            let token = by_hand.reset_password(&name).await?.with_context(|| nobody(&name))?;
            print_link(config, &name, &token);
        }
    }
    Ok(())
}

async fn open(config: &Config) -> anyhow::Result<ByHand> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make {}", config.data_dir.display()))?;
    let failed = || format!("failed to open the store {}", config.store);
    let engine = millrace_store::open(&config.store, &config.data_dir).await.with_context(failed)?;
    let store = Store::new(engine, COLLECTIONS).await.with_context(failed)?;
    ByHand::open(store).await.with_context(failed)
}

/// The link goes to standard output alone, so that a script can take it.
fn print_link(config: &Config, name: &str, token: &Secret) {
    let page = config.public_url.clone();
    let page = page.unwrap_or_else(|| format!("http://localhost:{}", config.http_addr.port()));
    crate::say(&format!("{name} sets the password here, once, within an hour:"));
    crate::print(&format!("{}/reset#{}", page.trim_end_matches('/'), token.reveal()));
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Viewer => Self::Viewer,
            UserRole::Streamer => Self::Streamer,
            UserRole::Admin => Self::Admin,
        }
    }
}
