use super::table::{grouped, number, section, spread, table};
use crate::figures::count;
use crate::report::Report;

/// How cost grows, by database.
pub fn render(report: &Report) -> Option<String> {
    let head = [
        "on",
        "with so many",
        "newest page, p50 ms",
        "with the count, p50 ms",
        "pages/s at 16",
        "send, p50 ms",
        "sends/s at 16",
        "µs a send",
    ];
    let mut rows = Vec::new();
    for growth in &report.growth {
        for grown in &growth.subjects {
            let series = &grown.series;
            rows.push(vec![
                growth.database.to_owned(),
                format!("{} {}", grouped(count(grown.size)), grown.dimension.name()),
                spread(series.spread(|sample| sample.page_ms)),
                spread(series.spread(|sample| sample.counted_page_ms)),
                spread(series.spread(|sample| sample.pages_per_second)),
                spread(series.spread(|sample| sample.send_ms)),
                spread(series.spread(|sample| sample.sends_per_second)),
                number(series.median(|sample| sample.send_micros)),
            ]);
        }
    }
    let about = "Messages and participants of one conversation, and conversations of one user, all of app-a. The page is that \
         of the messages by cursor, or of the conversations. The bulk of the messages is copied by SQL. The searches' index \
         is written beside the sends.";
    let text = format!("{about}\n\n{}", table(&head, rows.clone()));
    (!rows.is_empty()).then(|| section("Growth", &text))
}
