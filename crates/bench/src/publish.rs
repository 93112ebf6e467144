use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};
use crate::markdown;
use crate::report::Report;
use crate::servers::target_folder;

/// What stands before the report in a document.
const BEGIN: &str = "<!-- bench:begin -->";
/// What stands after it.
const END: &str = "<!-- bench:end -->";

/// Shows the report and leaves it in the target folder, and in a document if one is named.
pub fn publish(report: &Report, document: Option<&Path>) -> Result<()> {
    let folder = target_folder()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let text = markdown::render(report);
    std::fs::write(folder.join("report.md"), &text)?;
    std::fs::write(folder.join("report.json"), serde_json::to_vec_pretty(report)?)?;
    std::io::stdout().write_all(text.as_bytes())?;
    eprintln!("also written to bench/report.md and bench/report.json in the target folder");
    if let Some(path) = document {
        let before = std::fs::read_to_string(path)?;
        std::fs::write(path, between_marks(&before, &text)?)?;
        eprintln!("also written to {}", path.display());
    }
    Ok(())
}

/// Fails unless a report can be written to the document, so that this is known before everything is measured.
pub fn check(document: &Path) -> Result<()> {
    between_marks(&std::fs::read_to_string(document)?, "").map(drop)
}

/// The document with the report in place of what stands between the marks; headings are one level lower there.
fn between_marks(document: &str, report: &str) -> Result<String> {
    let missing = || Error::Failed(format!("the document has no {BEGIN} before {END}"));
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    let lower =
        |line: &str| if line.starts_with('#') { format!("#{line}") } else { line.to_owned() };
    let report: Vec<String> = report.lines().map(lower).collect();
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", report.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_stands_between_the_marks_and_nowhere_else() {
        let document = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let text = between_marks(&document, "# Title\ntext").unwrap();
        assert_eq!(text, format!("before\n{BEGIN}\n\n## Title\ntext\n\n{END}\nafter\n"));
        assert!(between_marks(&format!("{END}{BEGIN}"), "text").is_err());
    }
}
