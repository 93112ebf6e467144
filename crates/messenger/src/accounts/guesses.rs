//! Guessing the password of one account, from however many addresses.
//!
//! Failed log-ins are counted for each name that is tried, whether there is such an account or not, so that the limit
//! tells nobody which. Networks from which an account has been used are counted each on its own: who keeps guessing
//! from elsewhere fills up the count of all others, and the owner at home does not notice. Sessions and refresh tokens
//! are never touched, so nobody is logged out by the guesses of others.

use shared::address::Username;
use shared::problem::Problem;

use super::store::{self, Account};
use crate::app::App;
use crate::http::ClientAddress;
use crate::limits::Bucket;

/// An attempt that has been counted; forget it with [`Guess::was_right`] if it was none.
#[must_use]
pub struct Guess {
    key: u128,
}

impl Guess {
    /// Counts an attempt to log in under a name, before the password is looked at; 429 if there were too many.
    pub async fn count(
        app: &App,
        name: &str,
        account: Option<&Account>,
        address: ClientAddress,
    ) -> Result<Self, Problem> {
        let place = place(app, address)?;
        // Looked for also where there is no account, so that both cases take the same time.
        let user = account.map_or(uuid::Uuid::nil(), |account| account.card.id.uuid());
        let now = app.clock.wall();
        let known = store::knows_place(&mut app.db.read().await?, user, &place, now).await?;
        // In the form in which names and e-mail addresses are compared.
        let name = match name.parse::<Username>() {
            Ok(name) => name.key(),
            Err(_) => name.trim().to_lowercase(),
        };
        let mut whose = name.into_bytes();
        if known {
            whose.push(0);
            whose.extend(place);
        }
        Self::counted(app, &app.accounts.keyed_hash("guess", &whose)?).await
    }

    /// Counts an attempt to give the current password of a session's own account.
    pub async fn count_own(app: &App, account: &Account) -> Result<Self, Problem> {
        let whose = account.card.id.uuid();
        Self::counted(app, &app.accounts.keyed_hash("own guess", whose.as_bytes())?).await
    }

    async fn counted(app: &App, hash: &[u8; 32]) -> Result<Self, Problem> {
        let key = hash.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        app.limits.check(Bucket::LoginAccount, key).await?;
        Ok(Self { key })
    }

    /// The password was right, so it does not count.
    pub async fn was_right(self, app: &App) {
        app.limits.give_back(Bucket::LoginAccount, self.key).await;
    }
}

/// Where an account is used from, as a hash: who reads the database does not learn the address.
pub fn place(app: &App, address: ClientAddress) -> Result<Vec<u8>, Problem> {
    app.accounts.keyed_hash("place", &address.number().to_be_bytes()).map(Vec::from)
}
