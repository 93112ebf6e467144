use axum::extract::State;
use http::HeaderMap;
use http::header::USER_AGENT;
use serde::{Deserialize, Serialize};
use shared::id::SessionId;
use shared::models::{AccountRole, Profile, UserCard};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::access_token::LIFETIME;
use super::refresh_token::RefreshToken;
use super::store::{self, Account};
use crate::app::{App, AppState};
use crate::http::Json;

#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    username: Option<String>,
    email: Option<String>,
    password: String,
}

/// What a client keeps to stay logged in.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: u64,
    user: Profile,
}

/// `POST /api/auth/login/` with `username` or `email`: a new session. 401 without saying which of the two is wrong.
#[utoipa::path(
    post,
    path = "/login",
    tag = "Accounts",
    summary = "Log in",
    description = "Begins a session. Send `username` or `email`. A wrong name and a wrong password look the same.",
    security(()),
    request_body = Credentials,
    responses(
        (status = 200, description = "The tokens of the new session.", body = Tokens),
        (status = 401, description = "`invalid_credentials`: there is no active account with this name and password."),
    )
)]
pub async fn login(
    State(app): State<AppState>,
    headers: HeaderMap,
    Json(body): Json<Credentials>,
) -> Result<Json<Tokens>, Problem> {
    let account = match (&body.username, &body.email) {
        (Some(name), None) if !name.trim().is_empty() => {
            let key = name.parse::<shared::address::Username>().ok().map(|name| name.key());
            match key {
                Some(key) => store::by_username(&mut app.db.read().await?, &app.name, &key).await?,
                // Many people type their address into whichever field there is.
                None => by_email(&app, name).await?,
            }
        }
        (None, Some(email)) if !email.trim().is_empty() => by_email(&app, email).await?,
        (Some(_), Some(_)) => {
            return Err(Problem::invalid().field("email", "Send either username or email."));
        }
        _ => return Err(Problem::invalid().field("username", "Send username or email.")),
    };
    if body.password.is_empty() {
        return Err(Problem::invalid().field("password", "This field is required."));
    }
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let matches = app.accounts.passwords.verify(body.password, stored).await?;
    let Some(account) = account.filter(|account| matches && account.is_active) else {
        return Err(Problem::unauthenticated(
            "invalid_credentials",
            "There is no active account with this name and password.",
        ));
    };
    let now = app.clock.now();
    let (session, token) = (SessionId::mint(now), RefreshToken::random());
    let (hash, user, agent) = (token.hash(), account.card.id, user_agent(&headers));
    app.db
        .write(move |conn| {
            Box::pin(
                async move { store::begin_session(conn, session, user, &agent, &hash, now).await },
            )
        })
        .await?;
    tracing::info!(%user, %session, "logged in");
    tokens(&app, account, session, &token).map(Json)
}

/// What the client calls itself, as far as it is plain and short.
fn user_agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.chars().take(200).collect()
}

async fn by_email(app: &App, email: &str) -> Result<Option<Account>, Problem> {
    let hash = app.accounts.email_hash(&email.trim().to_lowercase())?;
    Ok(store::by_email(&mut app.db.read().await?, &hash).await?)
}

/// The answer to a log-in or a refresh.
pub fn tokens(
    app: &App,
    account: Account,
    session: SessionId,
    refresh: &RefreshToken,
) -> Result<Tokens, Problem> {
    let card: &UserCard = &account.card;
    let role: AccountRole = account.role;
    Ok(Tokens {
        access_token: app.accounts.access.issue(card.id, &card.username, role, session)?,
        refresh_token: refresh.text(),
        token_type: "Bearer",
        expires_in: LIFETIME.as_secs(),
        user: account.profile(&app.accounts.fields)?,
    })
}
