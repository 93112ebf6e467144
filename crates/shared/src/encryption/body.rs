//! Rewriting of JSON bodies: one pass that finds what to seal or to open, everything else copied as it stands.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ciphertext::Ciphertext;
use super::keyring::Unreadable;
use crate::id::{MessageId, UserId};

/// What a handler must know of a text that it cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its length in characters (Unicode scalar values).
    pub characters: usize,
    /// It has nothing to see: only white space, control and zero-width characters.
    pub blank: bool,
}

impl Facts {
    pub(super) fn of(text: &str) -> Self {
        Self { characters: text.chars().count(), blank: text.chars().all(is_invisible) }
    }
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// A token on its way from a store to the response layer, with the place where it stands.
///
/// It serialises to an object that no client sees: the response layer replaces it by the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedContent {
    // First, because the layer finds the object by `{"$sealed":`.
    #[serde(rename = "$sealed")]
    token: Ciphertext,
    message: MessageId,
    sender: UserId,
    revision: i64,
}

impl SealedContent {
    /// The token of a message, as its row says whose it is and which revision.
    pub fn new(message: MessageId, sender: UserId, revision: i64, token: Ciphertext) -> Self {
        Self { token, message, sender, revision }
    }

    /// The token, as sealed as before.
    pub fn sealed(&self) -> &Ciphertext {
        &self.token
    }

    pub(super) fn token(&self) -> &Ciphertext {
        &self.token
    }

    pub(super) fn binding(&self) -> super::envelope::Binding {
        super::envelope::Binding::message(self.message, self.sender, self.revision)
    }
}

/// Why a request body cannot be sealed.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is not JSON; the message of the parser names line and column and quotes nothing.
    Json(String),
    /// `content` is there and is not a string.
    NotText,
}

/// A text, and the bytes of the body that spell it.
type Found<'a> = (Cow<'a, str>, Range<usize>);

/// The text of the top-level `content` of a JSON body and where it stands in it, if there is one.
pub(super) fn find_content(body: &[u8]) -> Result<Option<Found<'_>>, BodyError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let raw = Top.deserialize(&mut json).and_then(|raw| json.end().map(|()| raw));
    let Some(raw) = raw.map_err(|error| BodyError::Json(describe(&error)))? else {
        return Ok(None);
    };
    let raw = raw.get();
    if raw == "null" {
        return Ok(None);
    }
    let text: Text = serde_json::from_str(raw).map_err(|error| match error.classify() {
        serde_json::error::Category::Syntax => BodyError::Json(describe(&error)),
        _ => BodyError::NotText,
    })?;
    let start = raw.as_ptr() as usize - body.as_ptr() as usize;
    Ok(Some((text.0, start..start + raw.len())))
}

/// What is wrong and where; parser messages about types can quote the input, so only syntax errors are passed on.
fn describe(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => format!("The JSON ends too early, at {place}."),
        serde_json::error::Category::Data if error.to_string().starts_with(DUPLICATE) => {
            "The key content stands twice in the body.".to_owned()
        }
        _ => format!("The body is not valid JSON at {place}."),
    }
}

const DUPLICATE: &str = "duplicate content";

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Finds the raw `content` of a top-level object; any other JSON is well but holds none.
struct Top;

impl<'de> DeserializeSeed<'de> for Top {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_content) = map.next_key_seed(IsContent)? {
            if !is_content {
                map.next_value::<serde::de::IgnoredAny>()?;
            } else if found.replace(map.next_value::<&RawValue>()?).is_some() {
                return Err(serde::de::Error::custom(DUPLICATE));
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct IsContent;

impl<'de> DeserializeSeed<'de> for IsContent {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsContent {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == "content")
    }
}

/// `body` with the value at `place` replaced by the token.
pub(super) fn replace(body: &[u8], place: Range<usize>, token: &Ciphertext) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(body.len() + token.token().len());
    sealed.extend_from_slice(&body[..place.start]);
    // A token is base64url, and needs no escape.
    sealed.extend_from_slice(format!("\"{token}\"").as_bytes());
    sealed.extend_from_slice(&body[place.end..]);
    sealed
}

static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"{\"$sealed\":"));

/// `body` with every [`SealedContent`] in it replaced by what `open` gives, or `None` if there is none.
///
/// The mark cannot stand inside a JSON string, where its quotation marks would be escaped. A content that does
/// not open becomes `null`, with a `content_error` beside it that has a code and the id of the key.
pub(super) fn open_contents(
    body: &[u8],
    mut open: impl FnMut(&SealedContent) -> Result<String, Unreadable>,
) -> Option<Vec<u8>> {
    let mut place = MARK.find(body)?;
    let mut opened = Vec::with_capacity(body.len());
    let mut copied = 0;
    loop {
        opened.extend_from_slice(&body[copied..place]);
        let mut stream =
            serde_json::Deserializer::from_slice(&body[place..]).into_iter::<SealedContent>();
        // A row with a token that has lost its form does not parse; it must not break the page.
        let parsed = stream.next().and_then(Result::ok);
        copied =
            place + if parsed.is_some() { stream.byte_offset() } else { end_of(&body[place..]) };
        match parsed.as_ref().map_or(Err(Unreadable::Tampered), &mut open) {
            Ok(text) => {
                // Writing a string to memory does not fail.
                let _ = serde_json::to_writer(&mut opened, &text);
            }
            Err(why) => {
                let key = parsed.map(|sealed| sealed.token.key().to_string());
                let error = serde_json::json!({ "code": why.code(), "key": key });
                opened.extend_from_slice(format!("null,\"content_error\":{error}").as_bytes());
            }
        }
        match MARK.find(&body[copied..]) {
            Some(next) => place = copied + next,
            None => break,
        }
    }
    opened.extend_from_slice(&body[copied..]);
    Some(opened)
}

/// The length of the JSON value at the start of `rest`.
fn end_of(rest: &[u8]) -> usize {
    let mut stream =
        serde_json::Deserializer::from_slice(rest).into_iter::<serde::de::IgnoredAny>();
    stream.next();
    stream.byte_offset()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(body: &str) -> Result<Option<String>, BodyError> {
        find_content(body.as_bytes()).map(|found| found.map(|(text, _)| text.into_owned()))
    }

    #[test]
    fn only_the_top_level_content_is_found_however_its_key_is_spelt() {
        assert_eq!(content(r#"{"content":"hi"}"#).unwrap().as_deref(), Some("hi"));
        assert_eq!(content(r#"{"con\u0074ent":"a\n\u00e9"}"#).unwrap().as_deref(), Some("a\né"));
        for none in
            [r#"{"a":{"content":"x"}}"#, "[1]", "5", "-1", "1.5", "\"x\"", "true", "null", "{}"]
        {
            assert_eq!(content(none).unwrap(), None, "{none}");
        }
        assert_eq!(content(r#"{"content":null}"#).unwrap(), None);
    }

    #[test]
    fn a_body_that_could_carry_a_text_past_the_layer_is_refused() {
        for (body, text) in [
            (r#"{"content":{"text":"x"}}"#, true),
            (r#"{"content":["x"]}"#, true),
            (r#"{"content":5}"#, true),
            (r#"{"content":"a","content":"b"}"#, false),
            (r#"{"content":"a","con\u0074ent":"b"}"#, false),
            (r#"{"content":"\ud800"}"#, false),
            (r#"{"content":"a"} x"#, false),
            (r#"{"content":"a""#, false),
            (r#"{"content":"a",}"#, false),
            ("", false),
            ("\u{feff}{}", false),
            (r#"{"a":NaN}"#, false),
        ] {
            match content(body) {
                Err(BodyError::NotText) => assert!(text, "{body}"),
                Err(BodyError::Json(_)) => assert!(!text, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(matches!(content(&deep), Err(BodyError::Json(_))));
        assert!(find_content(b"{\"content\":\"\xff\"}").is_err());
    }

    #[test]
    fn blank_texts_are_those_that_show_nothing() {
        for blank in ["", " ", "\n\t", "\u{200b}\u{200d}", "\u{feff}", "\u{3164}", "\0"] {
            assert!(Facts::of(blank).blank, "{blank:?}");
        }
        let family = Facts::of("👩‍👩‍👧");
        assert_eq!(family, Facts { characters: 5, blank: false });
    }

    #[test]
    fn a_text_cannot_forge_the_mark() {
        let body =
            serde_json::to_vec(&serde_json::json!({ "title": "{\"$sealed\":\"x\"}" })).unwrap();
        assert!(open_contents(&body, |_| panic!("nothing to open")).is_none());
    }

    #[test]
    fn a_broken_token_breaks_only_its_own_message() {
        let body = br#"[{"content":{"$sealed":"rubbish","message":"x"},"id":1},{"id":2}]"#;
        let opened = open_contents(body, |_| panic!("it has no form to open")).unwrap();
        let opened: serde_json::Value = serde_json::from_slice(&opened).unwrap();
        assert_eq!(opened[0]["content"], serde_json::Value::Null);
        assert_eq!(opened[0]["content_error"]["code"], "tampered");
        assert_eq!(opened[1]["id"], 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_hold_their_text_where_they_say(body in any::<Vec<u8>>()) {
            if let Ok(Some((_, place))) = find_content(&body) {
                prop_assert_eq!(body[place.start], b'"');
            }
        }

        #[test]
        fn every_text_is_found_as_it_was_written(text in any::<String>(), before in any::<String>()) {
            let body = serde_json::to_vec(&serde_json::json!({ "a": before, "content": text })).unwrap();
            let (found, place) = find_content(&body).unwrap().unwrap();
            prop_assert_eq!(&found, &text);
            prop_assert_eq!(&body[place], serde_json::to_vec(&text).unwrap());
        }
    }
}
