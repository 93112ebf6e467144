use std::net::SocketAddr;

use serde::Serialize;

use crate::connection::Connection;
use crate::error::Result;
use crate::figures::count;
use crate::people::Person;

/// What has been acknowledged to the senders, by recipient, to be compared with what the recipients have.
pub struct Ledger {
    recipients: Vec<Person>,
    acknowledged: Vec<u64>,
}

/// How acknowledged messages and stored ones differ, over all recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Acknowledged and not there.
    pub lost: u64,
    /// There more often than acknowledged.
    pub doubled: u64,
}

impl Ledger {
    /// Nothing has been sent to these users of app-b yet.
    pub fn new(recipients: Vec<Person>) -> Self {
        let acknowledged = vec![0; recipients.len()];
        Self { recipients, acknowledged }
    }

    /// Whom the messages go to.
    pub fn recipients(&self) -> &[Person] {
        &self.recipients
    }

    /// Notes messages that were acknowledged.
    pub fn note(&mut self, recipient: usize, messages: u64) {
        self.acknowledged[recipient] += messages;
    }

    /// Messages acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().sum()
    }

    /// Messages acknowledged so far for one recipient, on average.
    pub fn mean(&self) -> f64 {
        count(self.acknowledged()) / count(self.recipients.len().max(1) as u64)
    }

    /// Asks app-b for the count of every inbox.
    pub async fn compare(&self, b: SocketAddr) -> Result<Difference> {
        let mut connection = Connection::open(b).await?;
        let mut difference = Difference::default();
        for (person, &acknowledged) in self.recipients.iter().zip(&self.acknowledged) {
            let stored = person.count(&mut connection).await?;
            difference.lost += acknowledged.saturating_sub(stored);
            difference.doubled += stored.saturating_sub(acknowledged);
        }
        Ok(difference)
    }
}
