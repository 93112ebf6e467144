use serde::Serialize;

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// How many there are on all pages.
    pub count: i64,
    /// The URL of the next page, if there is one.
    pub next: Option<String>,
    /// The URL of the page before, if there is one.
    pub previous: Option<String>,
    /// What is on this page.
    pub results: Vec<T>,
}
