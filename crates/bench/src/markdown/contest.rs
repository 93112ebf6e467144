use super::table::{cores, number, section, spread, table};
use crate::contest::Outcome;
use crate::figures::count;
use crate::inbox::InboxSample;
use crate::report::{Report, Series};
use crate::sends::SendSample;

/// The sections of what pairs of apps have done in turns.
pub fn render(report: &Report) -> Vec<String> {
    let mut sections = Vec::new();
    if report.show_sends {
        sections.extend(sends(report));
    }
    if report.show_relay {
        sections.extend(relay(report));
    }
    sections.extend(memory(report));
    sections.extend(inbox(report));
    sections.extend(delivery(report));
    sections.extend(push(report));
    sections.extend(login(report));
    sections
}

/// A section with a row for each series, unless there are none.
fn rows_of<'a, T: 'a>(
    title: &str,
    about: &str,
    head: &[&str],
    all: impl Iterator<Item = (&'a Outcome, &'a Series<T>)>,
    row: impl Fn(&Series<T>) -> Vec<String>,
) -> Option<String> {
    let rows: Vec<Vec<String>> =
        all.map(|(outcome, series)| [vec![outcome.name.clone()], row(series)].concat()).collect();
    let head: Vec<&str> = ["on"].iter().chain(head).copied().collect();
    let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
    let text = format!("{about}{}", table(&head, rows.clone()));
    (!rows.is_empty()).then(|| section(title, &text))
}

fn all_sends(report: &Report) -> impl Iterator<Item = (&Outcome, &Series<SendSample>)> {
    report.outcomes.iter().flat_map(|it| it.sends.iter().map(move |series| (it, series)))
}

fn sends(report: &Report) -> Option<String> {
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
    let about = "The cores of the rest are those of everything else, a database server among it.";
    rows_of("Acknowledged sends", about, &head, all_sends(report), |series| {
        let rate = |sample: &SendSample| sample.sends_per_second;
        let bare = report.baseline.as_ref();
        let bare = bare.map(|bare| series.against(bare, rate, |bare| bare.posts_per_second));
        let mut row = vec![
            series.connections.to_string(),
            spread(series.spread(rate)),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            bare.map_or_else(String::new, |bare| number(bare.median)),
        ];
        row.extend(cores(series, |sample| sample.cores));
        row
    })
}

fn relay(report: &Report) -> Option<String> {
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
    rows_of("Sustained relay", "", &head, all_sends(report), |series| {
        let rate = |sample: &SendSample| sample.relayed_per_second;
        let total = |figure: fn(&SendSample) -> u64| {
            series.samples.iter().map(figure).sum::<u64>().to_string()
        };
        vec![
            series.connections.to_string(),
            spread(series.spread(rate)),
            number(series.against(series, rate, |sample| sample.sends_per_second).median),
            spread(series.spread(|sample| sample.drain_seconds)),
            number(series.median(|sample| sample.processor_micros.first)),
            number(series.median(|sample| sample.processor_micros.second)),
            number(series.median(|sample| sample.processor_micros.generator)),
            total(|sample| sample.difference.lost),
            total(|sample| sample.difference.doubled),
        ]
    })
}

fn memory(report: &Report) -> Option<String> {
    let head = ["after sends with connections", "app-a MiB", "app-b MiB"];
    let about = "Resident memory of all processes of an app, what they share counted once (PSS).";
    rows_of("Memory", about, &head, all_sends(report), |series| {
        vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.a_mib)),
            spread(series.spread(|sample| sample.b_mib)),
        ]
    })
}

fn inbox(report: &Report) -> Option<String> {
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
    let all = report.outcomes.iter().flat_map(|outcome| {
        outcome.inbox.iter().chain(&outcome.full_inbox).map(move |series| (outcome, series))
    });
    rows_of("Inbox pages of 20", "", &head, all, |series| {
        let rate = |sample: &InboxSample| sample.pages_per_second;
        let bare = report.baseline.as_ref();
        let bare = bare.map(|bare| series.against(bare, rate, |bare| bare.pages_per_second));
        let [server, _, generator, rest] = cores(series, |sample| sample.cores);
        vec![
            spread(series.spread(|sample| sample.messages)),
            spread(series.spread(rate)),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            bare.map_or_else(String::new, |bare| number(bare.median)),
            number(series.median(|sample| count(sample.bytes) / 1024.0)),
            server,
            generator,
            rest,
        ]
    })
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
    let about = "From the request at app-a to the inbox at app-b, which each connection polls without a pause once \
         app-a has answered. With one connection the apps are idle in between; with 64 the polling is the load.";
    let all = report
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.delivery.iter().map(move |series| (outcome, series)));
    rows_of("From app to inbox", about, &head, all, |series| {
        let mut row = vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            number(series.median(|sample| sample.polls)),
        ];
        row.extend(cores(series, |sample| sample.cores));
        row
    })
}

fn push(report: &Report) -> Option<String> {
    let head = [
        "on",
        "rhythm",
        "messages/s",
        "p50 ms",
        "p99 ms",
        "frames lost",
        "doubled",
        "cores app-a",
        "app-b",
        "generator",
        "rest",
    ];
    let all = report.outcomes.iter().flat_map(|outcome| {
        outcome.push.iter().map(move |(rhythm, series)| (outcome, *rhythm, series))
    });
    let rows: Vec<Vec<String>> = all
        .map(|(outcome, rhythm, series)| {
            let mut row = vec![
                outcome.name.clone(),
                rhythm.name().to_owned(),
                spread(series.spread(|sample| sample.per_second)),
                spread(series.spread(|sample| sample.p50_ms)),
                spread(series.spread(|sample| sample.p99_ms)),
                series.samples.iter().map(|it| it.frames.lost).sum::<u64>().to_string(),
                series.samples.iter().map(|it| it.frames.doubled).sum::<u64>().to_string(),
            ];
            row.extend(cores(series, |sample| sample.cores));
            row
        })
        .collect();
    let about = "From the request at app-a to the frame on the recipient's socket at app-b. The peak is the sustained relay \
         at 64 connections; at half of it, messages are sent by the clock, and their time counts from when they were due.";
    let text = format!("{about}\n\n{}", table(&head, rows.clone()));
    (!rows.is_empty()).then(|| section("From app to socket", &text))
}

fn login(report: &Report) -> Option<String> {
    let head = ["connections", "log-ins/s", "p50 ms", "p99 ms", "cores app-b", "generator", "rest"];
    let about =
        "Each is an Argon2id hash of 19 MiB and two passes, as many at once as there are cores.";
    let all = report.outcomes.iter().filter_map(|it| Some((it, it.login.as_ref()?)));
    rows_of("Log-ins", about, &head, all, |series| {
        let [server, _, generator, rest] = cores(series, |sample| sample.cores);
        vec![
            series.connections.to_string(),
            spread(series.spread(|sample| sample.per_second)),
            spread(series.spread(|sample| sample.p50_ms)),
            spread(series.spread(|sample| sample.p99_ms)),
            server,
            generator,
            rest,
        ]
    })
}
