use axum::RequestPartsExt;
use axum::extract::FromRequestParts;
use http::request::Parts;
use shared::encryption::SearchTerms;
use shared::problem::Problem;

use crate::app::App;
use crate::http::Params;

/// What a request searches for, its words already turned into terms by the request layer.
///
/// On a route without the layer the words would still stand in the query; it is refused rather than answered as if
/// nothing had been found.
#[derive(Debug)]
pub struct Search(Option<SearchTerms>);

impl Search {
    /// The terms, once everything is found that was committed before.
    pub async fn terms(self, app: &App) -> Result<Option<SearchTerms>, Problem> {
        if self.0.is_some() {
            app.index.catch_up().await?;
        }
        Ok(self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Search {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let terms = parts.extensions.get().cloned();
        if terms.is_none() && parts.extract::<Params>().await?.get("search").is_some() {
            tracing::error!("a search route is mounted without its encryption layer");
            return Err(Problem::internal());
        }
        Ok(Self(terms))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[tokio::test]
    async fn words_in_the_clear_are_refused_rather_than_looked_for() {
        let search = async |uri: &str| {
            let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
            Search::from_request_parts(&mut parts, &()).await.map(|search| search.0.is_some())
        };
        assert_eq!(search("/messages?search=word").await.unwrap_err().status().as_u16(), 500);
        assert_eq!(search("/messages?s%65arch=").await.unwrap_err().status().as_u16(), 500);
        assert!(!search("/messages?page=1").await.unwrap());
    }
}
