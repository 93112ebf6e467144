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

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::encryption::SearchTerms;

    fn replaced(keyring: &Keyring, uri: &str) -> Result<Parts, Problem> {
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        replace(keyring, &mut parts).map(|()| parts)
    }

    #[test]
    fn the_words_of_a_search_are_terms_before_a_handler_sees_them() {
        let keyring = Keyring::parse(&Keyring::generate_key()).unwrap();
        for (uri, rest) in [
            ("/api/chats/messages?search=Caf%C3%A9", "/api/chats/messages?"),
            (
                "/api/chats/messages/?page=2&se%61rch=CAFE&search=x&y",
                "/api/chats/messages/?page=2&y",
            ),
            (
                "/api/messages/inbox?user=a%26search%3Db&search=caf%65",
                "/api/messages/inbox?user=a%26search%3Db",
            ),
            (
                "/api/chats/conversations/1/messages?search=+cafe+",
                "/api/chats/conversations/1/messages?",
            ),
        ] {
            let parts = replaced(&keyring, uri).unwrap();
            assert_eq!(parts.uri, rest);
            let terms = parts.extensions.get::<SearchTerms>().unwrap();
            let expected = keyring.search(&["cafe".to_owned()]);
            assert!(terms.sets().eq(expected.sets()), "{uri}");
        }
    }

    #[test]
    fn other_requests_are_left_alone_and_empty_searches_refused() {
        let keyring = Keyring::parse(&Keyring::generate_key()).unwrap();
        for uri in [
            "/api/chats/messages",
            "/api/chats/messages?searches=x",
            "/api/chats/conversations?search=Title",
            "/api/users?search=bo",
        ] {
            let parts = replaced(&keyring, uri).unwrap();
            assert_eq!(parts.uri, uri);
            assert!(parts.extensions.get::<SearchTerms>().is_none());
        }
        for query in ["search", "search=", "search=%", "search=%ff", "search=..."] {
            let problem = replaced(&keyring, &format!("/api/messages/inbox?{query}")).unwrap_err();
            assert_eq!(problem.status().as_u16(), 400, "{query}");
        }
    }
}
