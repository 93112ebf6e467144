use crate::figures::Spread;
use crate::report::Series;
use crate::usage::Cores;

/// The medians of the cores of both servers, the generator and the rest.
pub fn cores<T>(series: &Series<T>, figure: impl Fn(&T) -> Cores) -> [String; 4] {
    [
        number(series.median(|sample| figure(sample).first)),
        number(series.median(|sample| figure(sample).second)),
        number(series.median(|sample| figure(sample).generator)),
        number(series.median(|sample| figure(sample).rest)),
    ]
}

/// A part of the report.
pub fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{text}")
}

/// A table whose first column is text and whose others are numbers.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let numbers = head.iter().skip(1).map(|_| "--:").collect::<Vec<_>>().join("|");
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|---|{numbers}|")];
    lines.extend(rows.into_iter().map(|row| format!("| {} |", row.join(" | "))));
    lines.join("\n")
}

/// The median, with the least and the greatest.
pub fn spread(spread: Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
}

/// About three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A whole number, its thousands apart.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        let texts = [26_500.4, 100.0, 42.25, 1.5, 0.012_34, 1_234_567.0].map(number);
        assert_eq!(texts, ["26 500", "100", "42.2", "1.50", "0.012", "1 234 567"]);
    }

    #[test]
    fn tables_have_a_row_for_each_row() {
        let text = table(&["a", "b"], [vec!["1".to_owned(), "2".to_owned()]]);
        assert_eq!(text, "| a | b |\n|---|--:|\n| 1 | 2 |");
    }
}
