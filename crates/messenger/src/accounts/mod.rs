//! Accounts, and how their owners prove who they are.

mod access_token;
pub(crate) mod add;
pub(crate) mod administer;
mod browser;
mod change_password;
mod cookies;
mod create_admin;
mod csrf;
mod current_user;
mod details;
mod devices;
mod edit;
mod guesses;
mod login;
mod logout;
mod me;
mod password;
mod refresh;
mod refresh_token;
mod register;
mod reset_password;
mod sessions;
mod store;
mod token_pair;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared::encryption::{Ciphertext, Field, FieldCipher};
use shared::id::UserId;
use shared::models::Profile;
use shared::problem::Problem;
use shared::time::Clock;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::{App, AppState, StartError};
use crate::config::Config;
use crate::db::{Conn, Db, Error};
use crate::pictures;
use crate::settings::Settings;

use access_token::AccessTokens;
use cookies::Cookies;
pub use create_admin::{create_admin, exists, promote};
use csrf::CsrfTokens;
pub use current_user::{
    Admin, CurrentUser, admins_only, authenticate, bearer, identify, of_session,
};
pub use edit::change_card;
pub use password::LENGTH as PASSWORD_LENGTH;
use password::Passwords;
use refresh_token::RefreshTokens;
pub use reset_password::{Reset, reset_password};
use sessions::Sessions;

/// The routes under `/api/auth`, and the older names of some of them under `/api`.
pub fn routes() -> OpenApiRouter<AppState> {
    let auth = twice_named()
        .routes(routes!(browser::csrf))
        .routes(routes!(devices::log_out_everywhere))
        .routes(routes!(devices::list))
        .routes(routes!(devices::revoke))
        .routes(routes!(change_password::change_password));
    twice_named()
        .nest("/auth", auth)
        .routes(routes!(token_pair::obtain))
        .routes(routes!(token_pair::renew))
}

/// What is found under both.
fn twice_named() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(me::me, edit::replace, edit::edit))
        .nest("/me", pictures::routes())
}

/// The profiles of those of the users who have an account here, deactivated ones included, in no order.
pub async fn profiles(app: &App, conn: &mut Conn, ids: &[UserId]) -> Result<Vec<Profile>, Problem> {
    let accounts = store::by_ids(conn, ids).await?;
    accounts.into_iter().map(|account| account.profile(&app.accounts.fields)).collect()
}

/// Opens a sealed field of an account.
fn open(
    fields: &FieldCipher,
    field: Field,
    owner: UserId,
    sealed: &Ciphertext,
) -> Result<String, Problem> {
    fields.open(field, owner.uuid(), sealed).map_err(|why| {
        tracing::error!(user = %owner, ?field, key = %sealed.key(), %why, "a field cannot be opened");
        Problem::internal()
    })
}

/// What the account routes share.
pub struct Accounts {
    passwords: Passwords,
    access: AccessTokens,
    refresh: RefreshTokens,
    sessions: Sessions,
    cookies: Cookies,
    csrf: CsrfTokens,
    session_max: Duration,
    fields: FieldCipher,
    index_key: Vec<u8>,
    reserved: Vec<String>,
}

impl Accounts {
    /// Opens the app's index key, or makes it when the database is new. Fails if the ring cannot open it.
    pub async fn new(
        config: &Config,
        db: &Db,
        clock: &Clock,
        settings: &Arc<Settings>,
    ) -> Result<Self, StartError> {
        let fields = FieldCipher::parse(config.fernet_keys.expose())?;
        let index_key = index_key(db, &fields).await?;
        let peers = config.peers.iter().map(|peer| peer.name.to_string());
        Ok(Self {
            passwords: Passwords::new(),
            access: AccessTokens::new(
                &config.app,
                &config.jwt_secret,
                clock.clone(),
                settings.clone(),
            ),
            refresh: RefreshTokens::new(&config.jwt_secret),
            sessions: Sessions::new(db.clone(), clock.clone()),
            cookies: Cookies::new(&config.browsers.cookies),
            csrf: CsrfTokens::new(&config.jwt_secret),
            session_max: config.session_max,
            fields,
            index_key,
            reserved: peers.chain([config.app.to_string()]).collect(),
        })
    }

    /// How many passwords are being hashed or wait for it, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        self.passwords.waiting()
    }

    /// Waits until a session is ended by this process.
    pub async fn session_ended(&self) {
        self.sessions.ended.notified().await;
    }

    /// What an e-mail address is found by: a keyed hash, as the address itself is sealed.
    fn email_hash(&self, email: &str) -> Result<Vec<u8>, Problem> {
        self.keyed_hash("email", email.as_bytes()).map(Vec::from)
    }

    /// A hash that only this app can make, for one purpose.
    fn keyed_hash(&self, purpose: &str, bytes: &[u8]) -> Result<[u8; 32], Problem> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.index_key).map_err(|_| Problem::internal())?;
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(bytes);
        Ok(mac.finalize().into_bytes().into())
    }
}

/// The key of the app's blind indexes: random, made once, and sealed with the ring, so that rotation of the ring
/// does not change what is found by it.
async fn index_key(db: &Db, fields: &FieldCipher) -> Result<Vec<u8>, StartError> {
    let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let sealed = fields.seal(Field::IndexKey, Uuid::nil(), &text);
    let stored = db
        .write(move |conn| {
            Box::pin(async move {
                store::add_secret(conn, "index", &sealed).await?;
                store::secret(conn, "index").await
            })
        })
        .await?;
    let text = fields.open(Field::IndexKey, Uuid::nil(), &stored);
    let text = text.map_err(|_| StartError::MissingKey(stored.key()))?;
    Ok(text.into_bytes())
}

/// The only column that is read when a number of bytes was expected.
fn exactly<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::Value(format!("expected {N} bytes")))
}
