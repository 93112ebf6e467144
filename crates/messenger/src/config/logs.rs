//! What is logged, and for whom.

use tracing_subscriber::EnvFilter;

use super::Reader;

impl Reader<'_> {
    /// `RUST_LOG`.
    pub(super) fn log(&mut self) -> String {
        let text = self.text_or_preset("RUST_LOG");
        if let Err(error) = EnvFilter::try_new(text) {
            self.wrong("RUST_LOG", format!("RUST_LOG is not valid: {error}"));
        }
        text.to_owned()
    }

    /// What is odd about debug mode, though an app starts with it.
    pub(super) fn look_at_debug(&mut self, debug: bool, public_url: Option<&str>) {
        if debug && public_url.is_some_and(|url| url.starts_with("https://")) {
            self.warn(
                "DEBUG",
                "DEBUG=true with a PUBLIC_URL that is https: logs are for people, and machines cannot read them.",
            );
        }
        if !debug && public_url.is_none() {
            self.warn(
                "PUBLIC_URL",
                "PUBLIC_URL is not set: links, and which pages are the app's own, follow the Host header, which is whatever a client says.",
            );
        }
    }
}
