//! Talks to providers.
#![expect(clippy::disallowed_methods, reason = "shell: reads the clock for what is known of a provider")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_core::text::cleaned;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse, TokenUrl,
};
use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{IssuerUrl, Nonce, TokenResponse as _};
use serde::Deserialize;

use super::config::{Kind, OauthConfig, ProviderConfig};
use super::decide::Profile;
use super::flow::Flow;

/// How long one request to a provider may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long what a provider says of itself is believed.
const METADATA_LIFETIME: Duration = Duration::from_secs(3600);
/// Longest answer of a provider.
const ANSWER_MAX_BYTES: usize = 1 << 20;
/// Longest text of a profile that is taken over, in characters.
const TEXT_MAX_CHARS: usize = 100;

/// The providers of this site.
#[derive(Debug, Clone, Default)]
pub struct Providers(Arc<BTreeMap<String, Provider>>);

/// One provider.
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    secret: Option<String>,
    http: reqwest::Client,
    metadata: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// Why a provider did not help. The text is for the log; it holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or not in time.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// It answers what it must not, or does not accept what we sent.
    #[error("the provider answered wrongly: {0}")]
    Wrong(String),
}

/// Where the browser goes, and what it carries meanwhile.
#[derive(Debug)]
pub struct Begun {
    /// The provider's page.
    pub url: String,
    /// For the cookie.
    pub flow: Flow,
}

/// What the provider sends back in the query.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Returned {
    /// For the exchange.
    #[serde(default)]
    pub code: Option<String>,
    /// Ours.
    #[serde(default)]
    pub state: Option<String>,
    /// VK's name of the browser; the exchange wants it back.
    #[serde(default)]
    pub device_id: Option<String>,
    /// Why there is no code (RFC 6749 §4.1.2.1).
    #[serde(default)]
    pub error: Option<String>,
}

/// VK's answer about a person.
#[derive(Debug, Deserialize)]
struct VkAnswer {
    user: VkUser,
}

/// The person.
#[derive(Debug, Deserialize)]
struct VkUser {
    /// A number, as text or not.
    user_id: serde_json::Value,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    #[serde(default)]
    email: Option<String>,
}

impl Providers {
    /// The providers of the configuration.
    ///
    /// # Errors
    /// A file with a secret cannot be read.
    pub fn new(config: &OauthConfig) -> std::io::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A provider that sends us elsewhere could send us into our own network.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(std::io::Error::other)?;
        let providers = config.iter().map(|(name, config)| {
            let secret = match (&config.client_secret, &config.client_secret_file) {
                (Some(secret), _) => Some(secret.reveal().to_owned()),
                (None, Some(path)) => Some(std::fs::read_to_string(path)?.trim().to_owned()),
                (None, None) => None,
            };
            let provider =
                Provider { config: config.clone(), secret, http: http.clone(), metadata: Mutex::default() };
            Ok((name.clone(), provider))
        });
        Ok(Self(Arc::new(providers.collect::<std::io::Result<_>>()?)))
    }

    /// A provider by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.0.get(name)
    }

    /// Names and labels, in the order of their names.
    pub fn labels(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, provider)| (name.as_str(), provider.config.label(name)))
    }
}

impl Provider {
    /// Begins: where the browser goes. `redirect` is the address of our callback, exactly as the provider knows it.
    /// With `again` it is to ask who is there even if it knows.
    ///
    /// # Errors
    /// The provider does not say where that is.
    pub async fn begin(
        &self,
        name: &str,
        redirect: &str,
        back: &str,
        again: bool,
    ) -> Result<Begun, ProviderError> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = match self.config.kind {
            Kind::Vk => {
                let client = self.vk(redirect)?;
                let mut request = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
                for scope in ["email"].into_iter().chain(self.config.scopes.iter().map(String::as_str)) {
                    request = request.add_scope(Scope::new(scope.to_owned()));
                }
                let (url, state) = request.url();
                (url, state, Nonce::new(String::new()))
            }
            Kind::Google | Kind::Oidc => {
                let metadata = self.metadata().await?;
                let client =
                    CoreClient::from_provider_metadata(metadata, self.client_id(), self.client_secret())
                        .set_redirect_uri(redirect_url(redirect)?);
                let mut request = client
                    .authorize_url(
                        CoreAuthenticationFlow::AuthorizationCode,
                        CsrfToken::new_random,
                        Nonce::new_random,
                    )
                    .set_pkce_challenge(challenge);
                for scope in
                    ["email", "profile"].into_iter().chain(self.config.scopes.iter().map(String::as_str))
                {
                    request = request.add_scope(Scope::new(scope.to_owned()));
                }
                // Google has no other way than to let the person choose the account.
                request = match (again, self.config.kind) {
                    (false, _) => request,
                    (true, Kind::Google) => request.add_prompt(CoreAuthPrompt::SelectAccount),
                    (true, _) => request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO),
                };
                request.url()
            }
        };
        let flow = Flow {
            provider: name.to_owned(),
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            back: back.to_owned(),
            link: None,
            confirm: None,
        };
        Ok(Begun { url: url.into(), flow })
    }

    /// Exchanges the code for who the person is. The state must have been compared before.
    ///
    /// # Errors
    /// The provider does not answer, does not accept the code, or says what it must not.
    pub async fn finish(
        &self,
        flow: &Flow,
        redirect: &str,
        returned: &Returned,
    ) -> Result<Profile, ProviderError> {
        let code =
            returned.code.clone().ok_or_else(|| ProviderError::Wrong("there is no code".to_owned()))?;
        let code = AuthorizationCode::new(code);
        let verifier = PkceCodeVerifier::new(flow.verifier.clone());
        match self.config.kind {
            Kind::Vk => self.finish_vk(flow, redirect, returned, code, verifier).await,
            Kind::Google | Kind::Oidc => self.finish_oidc(flow, redirect, code, verifier).await,
        }
    }

    async fn finish_oidc(
        &self,
        flow: &Flow,
        redirect: &str,
        code: AuthorizationCode,
        verifier: PkceCodeVerifier,
    ) -> Result<Profile, ProviderError> {
        let metadata = self.metadata().await?;
        let client = CoreClient::from_provider_metadata(metadata, self.client_id(), self.client_secret())
            .set_redirect_uri(redirect_url(redirect)?);
        let http = |request| ask(self.http.clone(), request);
        let tokens = client
            .exchange_code(code)
            .map_err(|err| ProviderError::Wrong(err.to_string()))?
            .set_pkce_verifier(verifier)
            .request_async(&http)
            .await
            .map_err(exchange_failed)?;
        let id_token =
            tokens.id_token().ok_or_else(|| ProviderError::Wrong("there is no ID token".to_owned()))?;
        let claims =
            id_token.claims(&client.id_token_verifier(), &Nonce::new(flow.nonce.clone())).map_err(|err| {
                // Its keys may be new.
                *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = None;
                ProviderError::Wrong(format!("its ID token is not good: {err}"))
            })?;
        let mut profile = Profile {
            subject: claims.subject().to_string(),
            email: claims.email().and_then(|email| email.parse().ok()),
            email_verified: claims.email_verified() == Some(true),
            display_name: claims.name().and_then(|name| name.get(None)).and_then(|name| bounded(name)),
            preferred_name: claims.preferred_username().and_then(|name| bounded(name)),
            authenticated_at: claims.auth_time().map(|at| at.timestamp()),
        };
        // A provider that keeps to the letter says more of the person at another address (OpenID Connect Core §5.4).
        if profile.email.is_none()
            && let Ok(request) =
                client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        {
            let more: CoreUserInfoClaims = request.request_async(&http).await.map_err(|err| match err {
                openidconnect::UserInfoError::Request(err) => ProviderError::Unreachable(err.to_string()),
                other => ProviderError::Wrong(format!("what it says of the person: {other}")),
            })?;
            profile.email = more.email().and_then(|email| email.parse().ok());
            profile.email_verified = more.email_verified() == Some(true);
            profile.display_name = more.name().and_then(|name| name.get(None)).and_then(|name| bounded(name));
            profile.preferred_name = more.preferred_username().and_then(|name| bounded(name));
        }
        Ok(profile)
    }

    async fn finish_vk(
        &self,
        flow: &Flow,
        redirect: &str,
        returned: &Returned,
        code: AuthorizationCode,
        verifier: PkceCodeVerifier,
    ) -> Result<Profile, ProviderError> {
        let device = returned
            .device_id
            .clone()
            .ok_or_else(|| ProviderError::Wrong("VK sent no device_id".to_owned()))?;
        let http = |request| ask(self.http.clone(), request);
        let tokens = self
            .vk(redirect)?
            .exchange_code(code)
            .set_pkce_verifier(verifier)
            .add_extra_param("device_id", device)
            .add_extra_param("state", flow.state.clone())
            .request_async(&http)
            .await
            .map_err(exchange_failed)?;
        let url = format!("{}/oauth2/user_info", self.config.issuer());
        let form =
            [("client_id", self.config.client_id.as_str()), ("access_token", tokens.access_token().secret())];
        let body = serde_urlencoded::to_string(form).map_err(|err| ProviderError::Wrong(err.to_string()))?;
        let request = axum::http::Request::post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into_bytes())
            .map_err(|err| ProviderError::Wrong(err.to_string()))?;
        let answer = ask(self.http.clone(), request)
            .await
            .map_err(|err| ProviderError::Unreachable(err.to_string()))?;
        let VkAnswer { user } = serde_json::from_slice(answer.body())
            .map_err(|err| ProviderError::Wrong(format!("VK's answer about the person: {err}")))?;
        let name = bounded(&format!("{} {}", user.first_name, user.last_name));
        Ok(Profile {
            subject: match user.user_id {
                serde_json::Value::String(id) if !id.is_empty() => id,
                serde_json::Value::Number(id) => id.to_string(),
                _ => return Err(ProviderError::Wrong("VK did not say who the person is".to_owned())),
            },
            email: user.email.and_then(|email| email.parse().ok()),
            // VK does not say.
            email_verified: false,
            display_name: name,
            preferred_name: None,
            authenticated_at: None,
        })
    }

    fn vk(
        &self,
        redirect: &str,
    ) -> Result<
        BasicClient<
            oauth2::EndpointSet,
            oauth2::EndpointNotSet,
            oauth2::EndpointNotSet,
            oauth2::EndpointNotSet,
            oauth2::EndpointSet,
        >,
        ProviderError,
    > {
        let wrong = |err: oauth2::url::ParseError| ProviderError::Wrong(err.to_string());
        let issuer = self.config.issuer();
        let client = BasicClient::new(self.client_id())
            .set_auth_uri(AuthUrl::new(format!("{issuer}/authorize")).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(format!("{issuer}/oauth2/auth")).map_err(wrong)?)
            .set_redirect_uri(redirect_url(redirect)?)
            .set_auth_type(AuthType::RequestBody);
        Ok(match self.client_secret() {
            Some(secret) => client.set_client_secret(secret),
            None => client,
        })
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.config.client_id.clone())
    }

    fn client_secret(&self) -> Option<ClientSecret> {
        self.secret.clone().map(ClientSecret::new)
    }

    async fn metadata(&self) -> Result<CoreProviderMetadata, ProviderError> {
        let known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read, metadata)) = known
            && read.elapsed() < METADATA_LIFETIME
        {
            return Ok(metadata);
        }
        let issuer = IssuerUrl::new(self.config.issuer().to_owned())
            .map_err(|err| ProviderError::Wrong(format!("its issuer is no address: {err}")))?;
        let http = |request| ask(self.http.clone(), request);
        let metadata =
            CoreProviderMetadata::discover_async(issuer, &http).await.map_err(|err| match err {
                openidconnect::DiscoveryError::Request(err) => ProviderError::Unreachable(err.to_string()),
                other => ProviderError::Wrong(format!("what it says of itself: {other}")),
            })?;
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is longer than {ANSWER_MAX_BYTES} bytes")]
    TooLong,
    #[error("{0}")]
    Malformed(#[from] axum::http::Error),
}

/// One request, whose answer is bounded.
async fn ask(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, AskError> {
    let (parts, body) = request.into_parts();
    let mut response =
        http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await?;
    let mut answer = axum::http::Response::builder().status(response.status());
    if let Some(headers) = answer.headers_mut() {
        headers.clone_from(response.headers());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > ANSWER_MAX_BYTES {
            return Err(AskError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(answer.body(bytes)?)
}

fn exchange_failed<E, R>(err: oauth2::RequestTokenError<E, R>) -> ProviderError
where
    E: std::error::Error + 'static,
    R: oauth2::ErrorResponse + 'static,
{
    match err {
        oauth2::RequestTokenError::Request(err) => ProviderError::Unreachable(err.to_string()),
        oauth2::RequestTokenError::ServerResponse(refusal) => ProviderError::Wrong(format!("{refusal:?}")),
        // The body may hold tokens.
        oauth2::RequestTokenError::Parse(err, _body) => ProviderError::Wrong(err.to_string()),
        oauth2::RequestTokenError::Other(what) => ProviderError::Wrong(what),
    }
}

fn redirect_url(redirect: &str) -> Result<RedirectUrl, ProviderError> {
    RedirectUrl::new(redirect.to_owned())
        .map_err(|err| ProviderError::Wrong(format!("our own address: {err}")))
}

/// A name that a provider gives somebody, if anything of it can be seen.
fn bounded(text: &str) -> Option<String> {
    let name = cleaned(&text.chars().take(TEXT_MAX_CHARS).collect::<String>(), 1);
    (!name.is_empty()).then_some(name)
}
