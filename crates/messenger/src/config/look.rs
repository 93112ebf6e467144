//! By what people tell the app from others: its name and its colour.

use serde::Serialize;
use utoipa::ToSchema;

use super::Reader;

/// A hue that the web interface has in a light and a dark form, both legible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accent {
    /// What AppA has.
    Indigo,
    /// What AppB has.
    Teal,
    /// Neither too warm nor too cold.
    Violet,
    /// The warmest.
    Rose,
    /// Close to brown.
    Amber,
    /// No hue, almost.
    Slate,
}

const ACCENTS: [(&str, Accent); 6] = [
    ("indigo", Accent::Indigo),
    ("teal", Accent::Teal),
    ("violet", Accent::Violet),
    ("rose", Accent::Rose),
    ("amber", Accent::Amber),
    ("slate", Accent::Slate),
];
/// Characters of a display name, at most.
const DISPLAY_NAME_LENGTH: usize = 40;

impl Reader<'_> {
    /// `ACCENT`, or what the binary has.
    pub(super) fn accent(&mut self, default: Accent) -> Accent {
        let name = |accent: Accent| ACCENTS.iter().find(|(_, known)| *known == accent);
        let otherwise = name(default).map_or_else(String::new, |(name, _)| (*name).to_owned());
        let text = self.text_or("ACCENT", otherwise);
        let found = ACCENTS.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names = ACCENTS.map(|(name, _)| name).join(", ");
            self.wrong("ACCENT", format!("ACCENT must be one of {names}."));
        }
        found.map_or(default, |(_, accent)| *accent)
    }

    /// `DISPLAY_NAME`, or the app's name in words: `AppA` for `app-a`.
    pub(super) fn display_name(&mut self, app: &str) -> String {
        let text = self.text_or("DISPLAY_NAME", in_words(app));
        if text.chars().count() > DISPLAY_NAME_LENGTH || text.chars().any(char::is_control) {
            let limit = DISPLAY_NAME_LENGTH;
            let why = format!("DISPLAY_NAME must be one line of at most {limit} characters.");
            self.wrong("DISPLAY_NAME", why);
        }
        text
    }
}

fn in_words(app: &str) -> String {
    let capital = |part: &str| {
        let mut chars = part.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
    };
    app.split('-').map(capital).collect::<Vec<String>>().concat()
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_name_becomes_words() {
        for (name, words) in [("app-a", "AppA"), ("chat", "Chat"), ("x-1-team", "X1Team")] {
            assert_eq!(in_words(name), words);
        }
    }
}
