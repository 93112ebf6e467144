//! Where an operator looks at the app from.

use std::net::SocketAddr;

use super::Reader;

impl Reader<'_> {
    /// `METRICS_ADDR`, if it is set.
    pub(super) fn metrics(&mut self, bind: Option<SocketAddr>) -> Option<SocketAddr> {
        let address = self.text("METRICS_ADDR").map(str::parse::<SocketAddr>)?;
        match address {
            Ok(address) if Some(address) == bind => {
                let why = "METRICS_ADDR must not be BIND_ADDR: metrics are not for everybody.";
                self.wrong.push(why.to_owned());
                None
            }
            Ok(address) => Some(address),
            Err(error) => {
                self.wrong.push(format!("METRICS_ADDR is not valid: {error}"));
                None
            }
        }
    }
}
