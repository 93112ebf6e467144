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
        let Some(text) = self.text("ACCENT") else { return default };
        let found = ACCENTS.iter().find(|(name, _)| *name == text);
        found.map_or_else(
            || {
                let names = ACCENTS.map(|(name, _)| name).join(", ");
                self.wrong.push(format!("ACCENT must be one of {names}."));
                default
            },
            |(_, accent)| *accent,
        )
    }

    /// `DISPLAY_NAME`, or the app's name in words: `AppA` for `app-a`.
    pub(super) fn display_name(&mut self, app: &str) -> String {
        let Some(text) = self.text("DISPLAY_NAME") else { return in_words(app) };
        if text.chars().count() > DISPLAY_NAME_LENGTH || text.chars().any(char::is_control) {
            let limit = DISPLAY_NAME_LENGTH;
            self.wrong
                .push(format!("DISPLAY_NAME must be one line of at most {limit} characters."));
        }
        text.to_owned()
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
