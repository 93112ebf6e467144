use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, OriginalUri};
use http::header::HOST;
use http::request::Parts;
use shared::models::Page;
use shared::problem::Problem;
use utoipa::IntoParams;

use super::Params;
use crate::app::AppState;

/// Results on a page that does not say how many it wants.
const DEFAULT_SIZE: i64 = 20;
/// Results on a page, at most.
const MAX_SIZE: i64 = 100;

/// How a page is asked for, as the description of the API shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct PageParams {
    /// The number of the page; 404 past the last one.
    #[param(minimum = 1, default = 1)]
    page: Option<i64>,
    /// Results on a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    page_size: Option<i64>,
}

/// Which page of a list is asked for: `?page=` from 1 and `?page_size=` from 1 to 100.
#[derive(Debug)]
pub struct PageRequest {
    page: i64,
    size: i64,
    path: String,
    params: Params,
    /// As the client wrote them, for the links to other pages.
    written: Params,
}

impl PageRequest {
    /// How many results fit on the page.
    pub fn limit(&self) -> i64 {
        self.size
    }

    /// How many results stand on the pages before.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.size)
    }

    /// How many results stand on the pages up to and including this one.
    pub fn end(&self) -> i64 {
        self.page.saturating_mul(self.size)
    }

    /// A query parameter.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The answer: `results` are what stands on this page, of `count` on all of them. 404 past the last page.
    pub fn answer<T>(&self, count: i64, results: Vec<T>) -> Result<Page<T>, Problem> {
        if self.page > 1 && self.offset() >= count {
            return Err(Problem::not_found());
        }
        let next = (self.end() < count).then(|| self.url(self.page + 1));
        let previous = (self.page > 1).then(|| self.url(self.page - 1));
        Ok(Page { count, next, previous, results })
    }

    fn url(&self, page: i64) -> String {
        format!("{}?{}", self.path, self.written.with("page", &page.to_string()))
    }
}

impl FromRequestParts<AppState> for PageRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        const PAGE: &str = "This should be a whole number from 1.";
        const SIZE: &str = "This should be a whole number from 1 to 100.";
        let params: Params = parts.extract().await?;
        let page = params.parse("page", PAGE)?.unwrap_or(1);
        let size = params.parse("page_size", SIZE)?.unwrap_or(DEFAULT_SIZE);
        let mut problem = Problem::invalid();
        if page < 1 {
            problem = problem.field("page", PAGE);
        }
        if !(1..=MAX_SIZE).contains(&size) {
            problem = problem.field("page_size", SIZE);
        }
        problem.check()?;
        let host =
            parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let base = app.public_url.clone().unwrap_or_else(|| format!("http://{host}"));
        let OriginalUri(uri) = parts.extract().await.map_err(|_| Problem::internal())?;
        let written = Params::of_uri(&uri)?;
        Ok(Self { page, size, path: format!("{base}{}", uri.path()), params, written })
    }
}
