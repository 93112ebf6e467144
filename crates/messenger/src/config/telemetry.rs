//! Where an operator looks at the app from.

use std::net::SocketAddr;

use super::Reader;

impl Reader<'_> {
    /// `METRICS_ADDR`, if it is set.
    pub(super) fn metrics(&mut self) -> Option<SocketAddr> {
        let text = self.text("METRICS_ADDR")?;
        self.understand("METRICS_ADDR", text)
    }

    /// Whether metrics would be served where everybody is.
    pub(super) fn look_at_metrics(&mut self, bind: SocketAddr, metrics: Option<SocketAddr>) {
        if metrics == Some(bind) {
            let why = "METRICS_ADDR must not be BIND_ADDR: metrics are not for everybody.";
            self.wrong("METRICS_ADDR", why);
        }
    }
}
