use axum::extract::State;
use http::HeaderMap;
use http::header::USER_AGENT;
use serde::{Deserialize, Serialize};
use shared::id::SessionId;
use shared::models::{AccountRole, Profile, UserCard};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::browser::{LoggedIn, session_of_cookies, welcome};
use super::cookies::SetCookies;
use super::guesses::{Guess, place};
use super::logout::end;
use super::refresh_token::RefreshToken;
use super::store::{self, Account, NewSession};
use crate::app::{App, AppState};
use crate::http::{ClientAddress, Json};
use crate::settings::Setting;

#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    username: Option<String>,
    email: Option<String>,
    password: String,
    session: Option<SessionKind>,
}

/// How a client keeps its tokens: by itself, or as a browser's cookies.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SessionKind {
    Bearer,
    Cookie,
}

/// What a client keeps to stay logged in.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    pub expires_in: u64,
    pub user: Profile,
    #[serde(skip)]
    pub session: SessionId,
}

/// `POST /api/auth/login/` with `username` or `email`: a new session. 401 without saying which of the two is wrong.
///
/// With `session: "cookie"` the tokens are in cookies alone, and the session that the browser had before ends. A
/// page of a foreign origin cannot log its visitors in so: 403 `csrf_failed`.
#[utoipa::path(
    post,
    path = "/login",
    tag = "Accounts",
    summary = "Log in",
    description = "Begins a session. Send `username` or `email`. A wrong name and a wrong password look the same.\n\n\
        With `session: \"cookie\"` the tokens are in cookies alone, for browsers. Unsafe requests then need the \
        header `X-CSRFToken`, equal to the CSRF cookie, and an allowed `Origin`.",
    security(()),
    request_body = Credentials,
    responses(
        (status = 200, description = "The new session.", body = LoggedIn),
        (status = 401, description = "`invalid_credentials`: there is no active account with this name and password."),
        (status = 403, description = "`csrf_failed`: a page of a foreign origin wants cookies."),
    )
)]
pub async fn login(
    State(app): State<AppState>,
    address: ClientAddress,
    headers: HeaderMap,
    Json(body): Json<Credentials>,
) -> Result<(Option<SetCookies>, Json<LoggedIn>), Problem> {
    if body.session != Some(SessionKind::Cookie) {
        return Ok((None, Json(LoggedIn::Tokens(begin(&app, address, &headers, body).await?))));
    }
    app.origins.vouch(&headers)?;
    let previous = session_of_cookies(&app, &headers).await?;
    let tokens = begin(&app, address, &headers, body).await?;
    if let Some(previous) = previous {
        end(&app, previous).await?;
    }
    welcome(&app, tokens, None, "Login successful")
}

/// Begins a session.
pub async fn begin(
    app: &App,
    address: ClientAddress,
    headers: &HeaderMap,
    body: Credentials,
) -> Result<Tokens, Problem> {
    let account = match (&body.username, &body.email) {
        (Some(name), None) if !name.trim().is_empty() => {
            let key = name.parse::<shared::address::Username>().ok().map(|name| name.key());
            match key {
                Some(key) => store::by_username(&mut app.db.read().await?, &app.name, &key).await?,
                // Many people type their address into whichever field there is.
                None => by_email(app, name).await?,
            }
        }
        (None, Some(email)) if !email.trim().is_empty() => by_email(app, email).await?,
        (Some(_), Some(_)) => {
            return Err(Problem::invalid().field("email", "Send either username or email."));
        }
        _ => return Err(Problem::invalid().field("username", "Send username or email.")),
    };
    if body.password.is_empty() {
        return Err(Problem::invalid().field("password", "This field is required."));
    }
    let name = body.username.or(body.email).unwrap_or_default();
    let guess = Guess::count(app, &name, account.as_ref(), address).await?;
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let matches = app.accounts.passwords.verify(body.password, stored).await?;
    let Some(account) = account.filter(|account| matches && account.is_active) else {
        return Err(Problem::unauthenticated(
            "invalid_credentials",
            "There is no active account with this name and password.",
        ));
    };
    guess.was_right(app).await;
    let now = app.clock.now();
    let (session, token) = (SessionId::mint(now), RefreshToken::random());
    let (hash, user, agent) = (token.hash(), account.card.id, user_agent(headers));
    let lifetime = app.settings.seconds(Setting::RefreshTokenLifetime);
    let ends = now.after(lifetime.min(app.accounts.session_max));
    let begun = NewSession { session, user, agent, now, ends };
    let place = place(app, address)?;
    app.db
        .write(move |conn| {
            Box::pin(async move {
                store::begin_session(conn, &begun, &hash).await?;
                store::know_place(conn, user, &place, now).await
            })
        })
        .await?;
    tracing::info!(%user, %session, "logged in");
    tokens(app, account, session, &token)
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
        expires_in: app.accounts.access.lifetime().unsigned_abs(),
        user: account.profile(&app.accounts.fields)?,
        session,
    })
}
