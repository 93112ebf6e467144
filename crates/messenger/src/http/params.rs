use std::borrow::Cow;
use std::str::FromStr;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, Path, Query};
use http::Uri;
use http::request::Parts;
use shared::problem::Problem;

/// The query of a request, in its order; a parameter that stands twice counts once, the first time.
#[derive(Clone, Debug)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, if it is there, in its form; `message` says what that is.
    pub fn parse<T: FromStr>(
        &self,
        name: &'static str,
        message: &'static str,
    ) -> Result<Option<T>, Problem> {
        let invalid = |_| Problem::invalid().field(name, message);
        self.get(name).map(|value| value.parse().map_err(invalid)).transpose()
    }

    /// The query of a URI.
    pub(super) fn of_uri(uri: &Uri) -> Result<Self, Problem> {
        match Query::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::malformed("The query string is not valid.")),
        }
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    /// What decides which rows a list has and in which order, in one spelling: all but the page and its size.
    pub(super) fn filters(&self) -> String {
        const PAGING: [&str; 3] = ["page", "cursor", "page_size"];
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(self.0.len());
        for (key, value) in &self.0 {
            if !PAGING.contains(&key.as_str()) && pairs.iter().all(|(other, _)| other != key) {
                pairs.push((key, value));
            }
        }
        pairs.sort_unstable();
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// The parameters as a query string, `name` set to `value`.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(key, _)| key != name);
        let pairs = others.map(|(key, value)| (key.as_str(), value.as_str()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs).append_pair(name, value);
        query.finish()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of_uri(&parts.uri)
    }
}

/// The id at the end of a path. What is no id names nothing, and is answered like an unknown one.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: FromStr + Send> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Path(text) =
            parts.extract::<Path<Cow<'static, str>>>().await.map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}
