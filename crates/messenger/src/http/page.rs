use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, OriginalUri};
use http::StatusCode;
use http::header::HOST;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::UserId;
use shared::models::Page;
use shared::problem::Problem;
use utoipa::IntoParams;

use super::{Cursors, Params};
use crate::app::AppState;
use crate::settings::Setting;

/// Results on a page, at most.
const MAX_SIZE: i64 = 100;

/// How a page is asked for, as the description of the API shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes, and is never made")]
pub struct PageParams {
    /// The number of the page; 404 past the last one.
    #[param(minimum = 1)]
    page: Option<i64>,
    /// Instead of a page: empty for the first, then as the links give it. What arrives meanwhile moves no page.
    cursor: Option<String>,
    /// Results on a page; without it as many as the setting `PAGE_SIZE` says.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<i64>,
}

/// Which part of a list is asked for: `?page=` from 1, or `?cursor=`, empty for the first page; and `?page_size=`
/// from 1 to 100.
pub struct PageRequest {
    place: Place,
    size: i64,
    path: String,
    url: String,
    params: Params,
    /// As the client wrote them, for the links to other pages.
    written: Params,
    cursors: Cursors,
}

enum Place {
    Number(i64),
    Cursor(String),
}

/// The rows that a list is to be asked for, ordered by a key `K` that no two of them share.
pub struct Window<K> {
    /// Only rows beyond the one with this key.
    pub after: Option<K>,
    /// Beyond it the other way, in the opposite of the list's order.
    pub backwards: bool,
    /// How many rows: one more than the page has where there is no count, to see whether there is another page.
    pub limit: i64,
    /// How many rows stand on the pages before.
    pub offset: i64,
    /// What cursors are signed for; `None` for a page by its number.
    list: Option<String>,
}

impl<K> Window<K> {
    /// The first rows.
    pub fn first(limit: i64) -> Self {
        Self { after: None, backwards: false, limit, offset: 0, list: None }
    }

    /// Whether it lies beyond a row, rather than beyond a number of them.
    pub fn is_by_cursor(&self) -> bool {
        self.list.is_some()
    }

    /// The window with all rows before it that it skips.
    #[must_use]
    pub fn from_the_first(&self) -> Self
    where
        K: Clone,
    {
        let limit = self.limit.saturating_add(self.offset);
        let (after, list) = (self.after.clone(), self.list.clone());
        Self { after, backwards: self.backwards, limit, offset: 0, list }
    }

    /// Part of a list that is in memory as a whole, sorted by its key. Use [`std::cmp::Reverse`] for the highest first.
    pub fn cut<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T>
    where
        K: Ord,
    {
        if self.backwards {
            rows.reverse();
        }
        if let Some(after) = &self.after {
            rows.retain(|row| if self.backwards { key(row) < *after } else { key(row) > *after });
        }
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        rows.into_iter().skip(offset).take(limit).collect()
    }
}

impl PageRequest {
    /// A query parameter.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What to ask the list for. 400 for a cursor that this app has not signed for this list of this user: for its
    /// path, its filters and its order.
    pub fn window<K: DeserializeOwned>(&self, user: UserId) -> Result<Window<K>, Problem> {
        let invalid = || {
            let why = "This cursor does not belong to this list.";
            Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", why).field("cursor", why)
        };
        let cursor = match &self.place {
            Place::Number(page) => {
                let offset = (page - 1).saturating_mul(self.size);
                let (after, backwards) = (None, false);
                return Ok(Window { after, backwards, limit: self.size, offset, list: None });
            }
            Place::Cursor(cursor) => cursor,
        };
        let list = format!("{user}\n{}\n{}", self.path, self.written.filters());
        let (after, backwards) = if cursor.is_empty() {
            (None, false)
        } else {
            let place = self.cursors.open(&list, cursor).ok_or_else(invalid)?;
            let (backwards, key) = serde_json::from_slice(&place).map_err(|_| invalid())?;
            (Some(key), backwards)
        };
        Ok(Window { after, backwards, limit: self.size + 1, offset: 0, list: Some(list) })
    }

    /// Whether an answer with so many rows needs the count of all: not with a cursor, nor if the rows show their end.
    pub fn needs_count(&self, rows: usize) -> bool {
        match self.place {
            Place::Number(1) => i64::try_from(rows).is_ok_and(|rows| rows >= self.size),
            Place::Number(_) => true,
            Place::Cursor(_) => false,
        }
    }

    /// The answer: `rows` are what the list gave for the window. 404 past the last page.
    ///
    /// `count` is how many there are on all pages, and may be absent where it [need not be known](Self::needs_count).
    pub fn answer<K: Serialize, T>(
        &self,
        window: &Window<K>,
        count: Option<i64>,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T>, Problem> {
        let Some(list) = &window.list else {
            let here = window.offset.saturating_add(i64::try_from(rows.len()).unwrap_or(0));
            return self.numbered(window.offset, count.unwrap_or(here), rows);
        };
        let more = i64::try_from(rows.len()).is_ok_and(|rows| rows > self.size);
        if more {
            rows.pop();
        }
        let began = window.after.is_some();
        let (before, beyond) = if window.backwards { (more, began) } else { (began, more) };
        if window.backwards {
            rows.reverse();
        }
        let cursor = |backwards: bool, row: Option<&T>| -> Result<Option<String>, Problem> {
            let Some(row) = row else { return Ok(None) };
            let place = serde_json::to_vec(&(backwards, key(row))).map_err(|error| {
                tracing::error!(%error, "the key of a list does not serialise");
                Problem::internal()
            })?;
            Ok(Some(self.url("cursor", &self.cursors.sign(list, &place))))
        };
        let next = cursor(false, rows.last().filter(|_| beyond))?;
        let previous = cursor(true, rows.first().filter(|_| before))?;
        Ok(Page { count: None, next, previous, results: rows })
    }

    fn numbered<T>(&self, offset: i64, count: i64, results: Vec<T>) -> Result<Page<T>, Problem> {
        let page = offset / self.size + 1;
        if page > 1 && offset >= count {
            return Err(Problem::not_found());
        }
        let next = (offset.saturating_add(self.size) < count).then_some(page + 1);
        let previous = (page > 1).then_some(page - 1);
        let url = |page: i64| self.url("page", &page.to_string());
        let (next, previous) = (next.map(url), previous.map(url));
        Ok(Page { count: Some(count), next, previous, results })
    }

    fn url(&self, name: &str, value: &str) -> String {
        format!("{}?{}", self.url, self.written.with(name, value))
    }
}

impl FromRequestParts<AppState> for PageRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        const PAGE: &str = "This should be a whole number from 1.";
        const SIZE: &str = "This should be a whole number from 1 to 100.";
        let params: Params = parts.extract().await?;
        let page: Option<i64> = params.parse("page", PAGE)?;
        let size =
            params.parse("page_size", SIZE)?.unwrap_or_else(|| app.settings.get(Setting::PageSize));
        let mut problem = Problem::invalid();
        if page.is_some_and(|page| page < 1) {
            problem = problem.field("page", PAGE);
        }
        if !(1..=MAX_SIZE).contains(&size) {
            problem = problem.field("page_size", SIZE);
        }
        if page.is_some() && params.get("cursor").is_some() {
            problem = problem.field("cursor", "Send either page or cursor.");
        }
        problem.check()?;
        let place = match params.get("cursor") {
            Some(cursor) => Place::Cursor(cursor.to_owned()),
            None => Place::Number(page.unwrap_or(1)),
        };
        let host =
            parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let base = app.public_url.clone().unwrap_or_else(|| {
            let scheme = if app.over_tls { "https" } else { "http" };
            format!("{scheme}://{host}")
        });
        let OriginalUri(uri) = parts.extract().await.map_err(|_| Problem::internal())?;
        let url = format!("{base}{}", uri.path());
        // With and without the slash at its end it is one list.
        let path = uri.path().trim_end_matches('/').to_owned();
        let written = Params::of_uri(&uri)?;
        Ok(Self { place, size, path, url, params, written, cursors: app.cursors.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn request(place: Place, size: i64) -> PageRequest {
        let cursors = Cursors::new(&Secret::new("s".repeat(32)));
        let params = Params::of([("page_size", "x"), ("b", "2"), ("a", "1")]);
        let (path, url) = ("/list".to_owned(), "http://host/list/".to_owned());
        let written = params.clone();
        PageRequest { place, size, path, url, params, written, cursors }
    }

    fn follow(url: &str, size: i64) -> PageRequest {
        let (_, cursor) = url.split_once("cursor=").unwrap();
        request(Place::Cursor(cursor.to_owned()), size)
    }

    fn page(request: &PageRequest, list: &[u64]) -> Page<u64> {
        let window = request.window::<u64>(UserId::from(uuid::Uuid::nil())).unwrap();
        let rows = window.cut(list.to_vec(), |row| *row);
        request.answer(&window, None, rows, |row| *row).unwrap()
    }

    /// Whatever is added between pages, each row that was there at the start is given once, in order; and back again.
    #[test]
    fn a_walk_gives_what_was_there_once_whatever_is_added() {
        for seed in 0..300_u64 {
            // Multiplication by a large odd number scatters well enough for a test.
            let mut state = seed;
            let mut random = |below: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
                (state >> 33) % below
            };
            let mut list: Vec<u64> = (0..random(60)).map(|_| random(1000)).collect();
            list.sort_unstable();
            list.dedup();
            let (start, size) = (list.clone(), i64::try_from(random(7)).unwrap() + 1);
            let mut add = |list: &mut Vec<u64>| {
                for _ in 0..3 {
                    list.push(random(1000));
                }
                list.sort_unstable();
                list.dedup();
            };
            let mut at = page(&request(Place::Cursor(String::new()), size), &list);
            assert!(at.previous.is_none());
            let mut seen = at.results.clone();
            while let Some(next) = at.next.clone() {
                add(&mut list);
                at = page(&follow(&next, size), &list);
                seen.extend(&at.results);
            }
            assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
            let old: Vec<_> = seen.iter().filter(|row| start.contains(row)).copied().collect();
            assert_eq!(old, start);
            let (end, mut back) = (list.clone(), Vec::new());
            while let Some(previous) = at.previous.clone() {
                at = page(&follow(&previous, size), &list);
                back.splice(0..0, at.results.clone());
                add(&mut list);
            }
            assert!(back.is_sorted_by(|a, b| a < b), "{back:?}");
            assert!(end.iter().filter(|row| back.last() >= Some(row)).all(|r| back.contains(r)));
        }
    }

    #[test]
    fn a_page_that_shows_the_end_of_the_list_needs_no_count() {
        let first = request(Place::Number(1), 5);
        assert!(!first.needs_count(0) && !first.needs_count(4) && first.needs_count(5));
        let second = request(Place::Number(2), 5);
        assert!(second.needs_count(0) && second.needs_count(4));
        assert!(!request(Place::Cursor(String::new()), 5).needs_count(6));
    }
}
