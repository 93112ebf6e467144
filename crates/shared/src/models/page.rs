use serde::Serialize;
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// How many there are on all pages; absent where a cursor was asked for.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// The URL of the next page, if there is one.
    #[schema(required)]
    pub next: Option<String>,
    /// The URL of the page before, if there is one.
    #[schema(required)]
    pub previous: Option<String>,
    /// What is on this page.
    pub results: Vec<T>,
}

impl<T> Page<T> {
    /// The same page with each result made into something else.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        let Self { count, next, previous, results } = self;
        Page { count, next, previous, results: results.into_iter().map(each).collect() }
    }
}
