use serde::Serialize;
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// How many there are on all pages.
    #[schema(minimum = 0)]
    pub count: i64,
    /// The URL of the next page, if there is one.
    #[schema(required)]
    pub next: Option<String>,
    /// The URL of the page before, if there is one.
    #[schema(required)]
    pub previous: Option<String>,
    /// What is on this page.
    pub results: Vec<T>,
}
