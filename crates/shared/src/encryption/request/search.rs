use http::request::Parts;
use http::uri::{PathAndQuery, Uri};

use crate::encryption::{Keyring, words};
use crate::problem::Problem;

/// The query parameter that holds words.
const SEARCH: &str = "search";
/// What the paths end in where messages are listed. Elsewhere a search goes through titles and names, which are no
/// secret of the edge.
const LISTS: [&str; 2] = ["messages", "inbox"];

/// Takes the words of a search of messages out of a request, and puts
/// [`SearchTerms`](crate::encryption::SearchTerms) in their place. If there are several searches, the first counts.
pub(super) fn replace(keyring: &Keyring, parts: &mut Parts) -> Result<(), Problem> {
    let Some(query) = parts.uri.query() else { return Ok(()) };
    let last = parts.uri.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if !LISTS.contains(&last) {
        return Ok(());
    }
    let searched = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == SEARCH);
    let Some((_, text)) = searched else { return Ok(()) };
    let words = words::of_search(&text)?;
    let is_other = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes()).next().is_none_or(|(name, _)| name != SEARCH)
    };
    let others: Vec<&str> = query.split('&').filter(is_other).collect();
    let rest = format!("{}?{}", parts.uri.path(), others.join("&"));
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(PathAndQuery::try_from(rest).map_err(|_| Problem::internal())?);
    parts.uri = Uri::from_parts(uri).map_err(|_| Problem::internal())?;
    parts.extensions.insert(keyring.search(&words));
    Ok(())
}
