use crate::baseline::BaselineSample;
use crate::figures::{Spread, count};
use crate::inbox::InboxSample;
use crate::report::{Report, Series};
use crate::sends::SendSample;
use crate::usage::Cores;

/// The connections that the goals speak of.
const USUAL: usize = 64;

/// The report for people.
pub fn render(report: &Report) -> String {
    let mut parts = vec![
        "# Benchmark\n\nBoth apps as release builds in processes of their own, over the loopback device, generator and \
         servers on the same cores. Messages of 200 bytes, one request at a time on each keep-alive connection. \
         Figures are medians over the rounds, with the least and the greatest."
            .to_owned(),
        environment(report),
        ratios(report),
    ];
    if report.show_sends {
        parts.push(sends(report));
    }
    if report.show_relay {
        parts.push(relay(report));
    }
    if !report.sends.is_empty() {
        parts.push(memory(report));
    }
    parts.extend(inbox(report));
    parts.extend(delivery(report));
    parts.push(baseline(report));
    parts.push(account(report));
    parts.join("\n\n") + "\n"
}

fn environment(report: &Report) -> String {
    let machine = &report.machine;
    let rows = [
        ("Cores", format!("{}, {}", machine.cores, machine.processor)),
        ("Memory", format!("{} MiB", machine.memory_mib)),
        ("Kernel", machine.kernel.clone()),
        ("Compiler", machine.rustc.clone()),
        ("Database", format!("{}, on {}", report.database, machine.file_system)),
        ("Rounds", format!("{} of {} s for each figure", report.rounds, report.span_seconds)),
        ("Load average before", machine.load_before.clone()),
    ];
    table(&["Environment", ""], rows.map(|(name, value)| vec![name.to_owned(), value]))
}

/// The figures that there are goals for, with what must be reached and what should be.
fn ratios(report: &Report) -> String {
    let posts = report.baseline.median(|sample| sample.posts_per_second);
    let pages = report.baseline.median(|sample| sample.pages_per_second);
    let mut rows = Vec::new();
    let mut row = |name: &str, value: f64, must: &str, goal: &str| {
        rows.push(vec![name.to_owned(), number(value), must.to_owned(), goal.to_owned()]);
    };
    if let Some(series) = report.sends_with(USUAL) {
        let sends = series.median(|sample| sample.sends_per_second);
        let relayed = series.median(|sample| sample.relayed_per_second);
        row("sends/s at 64, against bare POST/s", sends / posts, "≥ 0.15", "≥ 0.33");
        row("relayed/s at 64, against sends/s", relayed / sends, "≥ 0.75", "≥ 0.9");
    }
    if let Some(series) = &report.inbox {
        let read = series.median(|sample| sample.pages_per_second);
        row("inbox pages/s at 64, against bare pages/s", read / pages, "≥ 0.15", "≥ 0.35");
    }
    if let Some(series) = report.delivery_with(1) {
        row("delivery at 1, p50 in ms", series.median(|sample| sample.p50_ms), "≤ 2", "≤ 1");
    }
    if let Some(series) = report.delivery_with(USUAL) {
        row("delivery at 64, p99 in ms", series.median(|sample| sample.p99_ms), "≤ 30", "≤ 10");
    }
    if let Some(series) = report.sends_with(USUAL) {
        let both = series.median(|sample| sample.a_mib + sample.b_mib);
        row("memory of both after sends at 64, in MiB", both, "≤ 75", "≤ 40");
    }
    if let Some(series) = report.sends_with(1) {
        let sync = report.baseline.median(|sample| sample.sync_ms);
        let sends = series.median(|sample| sample.p50_ms);
        row("send at 1, p50, against one write and fdatasync", sends / sync, "", "");
    }
    section("Ratios", &table(&["", "median", "must", "goal"], rows))
}

fn sends(report: &Report) -> String {
    let posts = report.baseline.median(|sample| sample.posts_per_second);
    let head = [
        "connections",
        "sends/s",
        "p50 ms",
        "p99 ms",
        "of bare POST",
        "cores app-a",
        "app-b",
        "generator",
        "rest",
    ];
    let rows = report.sends.iter().map(|series| {
        let mut row = vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.sends_per_second)),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            number(series.median(|sample| sample.sends_per_second) / posts),
        ];
        row.extend(cores(series, |sample| sample.cores));
        row
    });
    section("Acknowledged sends", &table(&head, rows))
}

fn relay(report: &Report) -> String {
    let head = [
        "connections",
        "messages/s until stored at app-b",
        "of sends/s",
        "drain s",
        "µs a message: app-a",
        "app-b",
        "generator",
        "lost",
        "doubled",
    ];
    let rows = report.sends.iter().map(|series| {
        let sends = series.median(|sample| sample.sends_per_second);
        let total = |figure: fn(&SendSample) -> u64| {
            series.samples.iter().map(figure).sum::<u64>().to_string()
        };
        vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.relayed_per_second)),
            number(series.median(|sample| sample.relayed_per_second) / sends),
            spread(series.spread(|sample| sample.drain_seconds)),
            number(series.median(|sample| sample.processor_micros.first)),
            number(series.median(|sample| sample.processor_micros.second)),
            number(series.median(|sample| sample.processor_micros.generator)),
            total(|sample| sample.difference.lost),
            total(|sample| sample.difference.doubled),
        ]
    });
    section("Sustained relay", &table(&head, rows))
}

fn memory(report: &Report) -> String {
    let head = ["after sends with connections", "app-a MiB", "app-b MiB"];
    let rows = report.sends.iter().map(|series| {
        vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.a_mib)),
            spread(series.spread(|sample| sample.b_mib)),
        ]
    });
    section("Resident memory", &table(&head, rows))
}

fn inbox(report: &Report) -> Option<String> {
    let pages = report.baseline.median(|sample| sample.pages_per_second);
    let head = [
        "messages in an inbox",
        "pages/s at 64",
        "p50 ms",
        "p99 ms",
        "of bare page",
        "KiB a page",
        "cores app-b",
        "generator",
        "rest",
    ];
    let row = |series: &Series<InboxSample>| {
        vec![
            spread(series.spread(|sample| sample.messages)),
            spread(series.spread(|sample| sample.pages_per_second)),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            number(series.median(|sample| sample.pages_per_second) / pages),
            number(series.median(|sample| count(sample.bytes) / 1024.0)),
            number(series.median(|sample| sample.cores.first)),
            number(series.median(|sample| sample.cores.generator)),
            number(series.median(|sample| sample.cores.rest)),
        ]
    };
    report.inbox.as_ref()?;
    let rows = report.inbox.iter().chain(&report.full_inbox).map(row);
    Some(section("Inbox pages of 20", &table(&head, rows)))
}

fn delivery(report: &Report) -> Option<String> {
    let head = [
        "connections",
        "p50 ms",
        "p99 ms",
        "polls a message",
        "cores app-a",
        "app-b",
        "generator",
        "rest",
    ];
    let rows = report.delivery.iter().map(|series| {
        let mut row = vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            number(series.median(|sample| sample.polls)),
        ];
        row.extend(cores(series, |sample| sample.cores));
        row
    });
    let about = "From the request at app-a to the inbox at app-b, which each connection polls without a pause once app-a has \
         answered. With one connection the apps are idle in between; with 64 the polling is the load.";
    let text = format!("{about}\n\n{}", table(&head, rows));
    (!report.delivery.is_empty()).then(|| section("Delivery", &text))
}

fn baseline(report: &Report) -> String {
    let series = &report.baseline;
    let head = ["baseline", "median (least–greatest)", "cores server", "generator", "rest"];
    let rate = |name: &str, figure: fn(&BaselineSample) -> (f64, Cores)| {
        let [server, _, generator, rest] = cores(series, |sample| figure(sample).1);
        let rates = spread(series.spread(|sample| figure(sample).0));
        vec![name.to_owned(), rates, server, generator, rest]
    };
    let mut sync = vec![
        "one write of 4 KiB and fdatasync, ms".to_owned(),
        spread(series.spread(|sample| sample.sync_ms)),
    ];
    sync.resize(head.len(), String::new());
    let mut ceiling = vec![
        "requests/s that one core's worth of the generator sends".to_owned(),
        spread(series.spread(|s| s.posts_per_second / s.post_cores.generator)),
    ];
    ceiling.resize(head.len(), String::new());
    let rows = [
        rate("bare axum JSON POST/s at 64", |s| (s.posts_per_second, s.post_cores)),
        rate("bare page of 4 KiB/s at 64", |s| (s.pages_per_second, s.page_cores)),
        ceiling,
        sync,
    ];
    section("Baselines", &table(&head, rows))
}

fn account(report: &Report) -> String {
    let [a, b] = report.complaints;
    let verdict = if report.is_sound() { "Every message arrived once" } else { "NOT SOUND" };
    let disturbance = report.baseline.median(|sample| sample.post_cores.rest);
    let text = format!(
        "{verdict}: {} messages acknowledged in the whole run, {} lost, {} doubled. Warnings and errors in the logs: \
         app-a {a}, app-b {b}. The run took {:.0} s. What else runs on the machine took {} cores meanwhile; the fewer, the \
         better the figures.",
        grouped(count(report.acknowledged)),
        report.difference.lost,
        report.difference.doubled,
        report.took_seconds,
        number(disturbance)
    );
    section("Account", &text)
}

fn cores<T>(series: &Series<T>, figure: impl Fn(&T) -> Cores) -> [String; 4] {
    [
        number(series.median(|sample| figure(sample).first)),
        number(series.median(|sample| figure(sample).second)),
        number(series.median(|sample| figure(sample).generator)),
        number(series.median(|sample| figure(sample).rest)),
    ]
}

fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{text}")
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let numbers = head.iter().skip(1).map(|_| "--:").collect::<Vec<_>>().join("|");
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|---|{numbers}|")];
    lines.extend(rows.into_iter().map(|row| format!("| {} |", row.join(" | "))));
    lines.join("\n")
}

fn spread(spread: Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
}

/// About three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A whole number, its thousands apart.
fn grouped(value: f64) -> String {
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
