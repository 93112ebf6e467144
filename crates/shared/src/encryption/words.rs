//! What counts as a word, and when two words are the same.
//!
//! Both apps must agree on it for ever, on what they have written already: any change needs a new version of
//! [`Terms`](super::Terms), and `reindex`.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::problem::Problem;

/// Characters of a word, at most, once it is folded. Longer ones (keys, encoded files) cannot be found.
pub(super) const LONGEST: usize = 64;
/// Different words of a text that can be found, at most: as many as no text of 20 000 characters has that is one.
pub(super) const IN_TEXT: usize = 4096;
/// Different words of a search, at most.
const IN_SEARCH: usize = 32;
/// Characters of a search, at most.
const SEARCH_LENGTH: usize = 500;

/// The different words of a text that can be found, in their order.
pub(super) fn of_text(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each(text, |word| {
        if word.chars().count() <= LONGEST {
            words.push(word.to_owned());
        }
        words.len() < 4 * IN_TEXT
    });
    let mut seen = HashSet::with_capacity(words.len());
    words.retain(|word| seen.len() < IN_TEXT && seen.insert(word.clone()));
    words
}

/// The different words of a search; 400 if it cannot find anything, or not what it asks for.
pub(super) fn of_search(text: &str) -> Result<Vec<String>, Problem> {
    let invalid = |why: &'static str| Err(Problem::invalid().field("search", why));
    if text.chars().count() > SEARCH_LENGTH {
        return invalid("A search has at most 500 characters.");
    }
    let mut words = Vec::new();
    each(text, |word| {
        words.push(word.to_owned());
        true
    });
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        return invalid("There is no word in it; a word has letters, digits or an emoji.");
    }
    if words.iter().any(|word| word.chars().count() > LONGEST) {
        return invalid("A word has at most 64 characters; longer ones are not found.");
    }
    if words.len() > IN_SEARCH {
        return invalid("A search has at most 32 different words.");
    }
    Ok(words)
}

/// Gives each word of a text to `take`, folded, until that says no.
fn each(text: &str, take: impl FnMut(&str) -> bool) {
    let folded = fold(text);
    if folded.is_ascii() {
        // Letters, digits and spaces are all that is left of it.
        folded.split_ascii_whitespace().all(take);
    } else {
        // A sign after a space belongs to the space in the eyes of the standard, so spaces are left out before.
        let words = folded.split_whitespace().flat_map(str::split_word_bounds);
        words.filter(|word| word.chars().any(is_visible)).all(take);
    }
}

/// A text with the differences gone that a reader overlooks: case, accents, typographic and wide forms, skin tones,
/// marks of direction. What stands between words becomes a space.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().map(fold_ascii).collect();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|&c| !is_dropped(c)) {
        match c {
            c if c.is_ascii() => folded.push(fold_ascii(c)),
            'æ' | 'Æ' => folded.push_str("ae"),
            'œ' | 'Œ' => folded.push_str("oe"),
            'þ' | 'Þ' => folded.push_str("th"),
            'ø' | 'Ø' => folded.push('o'),
            'đ' | 'Đ' | 'ð' | 'Ð' => folded.push('d'),
            'ł' | 'Ł' => folded.push('l'),
            'ħ' | 'Ħ' => folded.push('h'),
            // The other signs that would hold two words together.
            '\u{2018}' | '\u{2019}' | '\u{2bc}' | '\u{b7}' | '\u{2027}' | '\u{203f}' => {
                folded.push(' ');
            }
            '\u{660}'..='\u{669}' => folded.push(digit(c, '\u{660}')),
            '\u{6f0}'..='\u{6f9}' => folded.push(digit(c, '\u{6f0}')),
            // There and back again: so ß is ss, and both small sigmas are one.
            c => folded.extend(c.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    folded
}

fn fold_ascii(c: char) -> char {
    if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }
}

fn digit(c: char, zero: char) -> char {
    char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c)
}

/// Accents of the European scripts, vowel points of Hebrew and Arabic, and what is not seen. Not the signs of other
/// scripts: in those of India, and in kana, a word is another one without them.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'
        | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{5c7}' | '\u{5f3}'..='\u{5f4}'
        | '\u{610}'..='\u{61a}' | '\u{61c}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}'
        | '\u{180b}'..='\u{180f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{feff}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters, digits and pictographs.
fn is_visible(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
            | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        of_text(text)
    }

    #[test]
    fn words_are_folded_as_readers_do() {
        for (one, other) in [
            ("Café", "CAFE\u{301}"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδός"),
            ("ёлка", "ЕЛКА"),
            ("Ærø", "aero"),
            ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
            ("ﬁne", "fine"),
            ("İstanbul", "istanbul"),
            ("naïve\u{ad}ly", "naively"),
            ("שָׁלוֹם\u{200f}", "שלום"),
            ("مُحَمَّد", "محمد"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("١٢٣", "123"),
            ("👍🏽", "👍"),
            ("❤\u{fe0f}", "❤"),
            ("don’t", "don't"),
        ] {
            assert_eq!(words(one), words(other), "{one} {other}");
            assert!(!words(one).is_empty(), "{one}");
        }
        assert_ne!(words("ガ"), words("カ"), "other letters, not accents");
        assert_ne!(words("की"), words("का"));
        assert_ne!(words("schon"), words("schoner"));
    }

    #[test]
    fn a_text_is_split_into_whole_words() {
        for (text, split) in [
            ("Dinner at eight?", vec!["dinner", "at", "eight"]),
            (
                "snake_case, e-mail: bob@example.org",
                vec!["snake", "case", "e", "mail", "bob", "example", "org"],
            ),
            ("3.14 1,000 v2", vec!["3", "14", "1", "000", "v2"]),
            ("again Again AGAIN", vec!["again"]),
            ("l’été", vec!["l", "ete"]),
            ("日本語 テスト", vec!["日", "本", "語", "テスト"]),
            ("🦀🦀 ok", vec!["🦀", "ok"]),
            ("👩‍👩‍👧", vec!["👩‍👩‍👧"]),
            ("*bold* %x% \"y\"", vec!["bold", "x", "y"]),
            ("…—!?\0\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(words(text), split, "{text}");
        }
    }

    #[test]
    fn there_are_limits() {
        assert_eq!(words(&"x".repeat(LONGEST)).len(), 1);
        assert!(words(&"x".repeat(LONGEST + 1)).is_empty());
        let many: Vec<String> = (0..20_000u32).map(|n| format!("{n:x}")).collect();
        assert_eq!(words(&many.join(" ")).len(), IN_TEXT);
        let fault = |text: &str| {
            let problem = of_search(text).unwrap_err();
            assert_eq!(problem.status().as_u16(), 400);
            String::from_utf8(problem.document(None, None)).unwrap()
        };
        assert!(fault("").contains("no word"));
        assert!(fault(" %_*\"' ").contains("no word"));
        assert!(fault(&"x".repeat(LONGEST + 1)).contains("64 characters"));
        assert!(fault(&"a ".repeat(5_000)).contains("500 characters"));
        assert!(fault(&many[..33].join(" ")).contains("32"));
        assert_eq!(of_search(&"a ".repeat(250)).unwrap(), ["a"]);
    }

    proptest! {
        #[test]
        fn a_text_is_found_by_its_own_words(text in any::<String>()) {
            let all: HashSet<_> = words(&text).into_iter().collect();
            for word in text.split_whitespace() {
                if let Ok(parts) = of_search(word) {
                    prop_assert!(parts.iter().all(|part| all.contains(part)), "{word}");
                }
            }
        }

        #[test]
        fn a_text_of_plain_letters_is_split_like_any_other(text in "[ -~]{0,60}") {
            let among_others = words(&format!("{text} 語"));
            let mut alone = words(&text);
            alone.push("語".to_owned());
            prop_assert_eq!(alone, among_others);
        }

        #[test]
        fn folding_twice_is_folding_once(text in any::<String>()) {
            let once = words(&text);
            prop_assert_eq!(words(&once.join(" ")), once);
        }
    }
}
