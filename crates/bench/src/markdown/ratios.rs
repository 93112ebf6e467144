use super::table::{number, section, spread, table};
use crate::contest::{AGAINST, DJANGO, HERE, POSTGRES, REPLICAS, Rhythm};
use crate::growth::Dimension;
use crate::report::{Report, Series};
use crate::sends::SendSample;
use crate::sockets::SocketSample;

/// The connections that the goals speak of.
const USUAL: usize = 64;

/// The figures that there are goals for, with what must be reached and what should be; ratios are of the same round.
pub fn render(report: &Report) -> Option<String> {
    let mut rows = between_apps(report);
    rows.extend(between_builds(report));
    rows.extend(sockets(report));
    rows.extend(growth(report));
    let table = table(&["", "median (least–greatest)", "must", "goal"], rows.clone());
    (!rows.is_empty()).then(|| section("Goals", &table))
}

fn row(name: &str, value: String, must: &str, goal: &str) -> Vec<String> {
    vec![name.to_owned(), value, must.to_owned(), goal.to_owned()]
}

fn sends(sample: &SendSample) -> f64 {
    sample.sends_per_second
}

fn relayed(sample: &SendSample) -> f64 {
    sample.relayed_per_second
}

fn between_apps(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (Some(here), Some(baseline)) = (report.outcome(HERE), &report.baseline) else {
        return rows;
    };
    if let Some(series) = here.sends_with(USUAL) {
        let bare = spread(series.against(baseline, sends, |bare| bare.posts_per_second));
        rows.push(row("sends/s at 64, of bare POST/s", bare, "≥ 0.15", "≥ 0.33"));
        let relay = spread(series.against(series, relayed, sends));
        rows.push(row("relayed/s at 64, of sends/s", relay, "≥ 0.75", "≥ 0.9"));
        let memory = spread(series.spread(|sample| sample.a_mib + sample.b_mib));
        rows.push(row("memory of both after sends at 64, MiB", memory, "≤ 75", "≤ 40"));
    }
    if let Some(series) = &here.inbox {
        let bare = |bare: &crate::baseline::BaselineSample| bare.pages_per_second;
        let pages = spread(series.against(baseline, |sample| sample.pages_per_second, bare));
        rows.push(row("inbox pages/s at 64, of bare pages/s", pages, "≥ 0.15", "≥ 0.35"));
    }
    if let Some(series) = here.delivery_with(1) {
        let p50 = spread(series.spread(|sample| sample.p50_ms));
        rows.push(row("to the inbox at 1, p50 ms", p50, "≤ 2", "≤ 1"));
    }
    if let Some(series) = here.delivery_with(USUAL) {
        let p99 = spread(series.spread(|sample| sample.p99_ms));
        rows.push(row("to the inbox at 64, p99 ms", p99, "≤ 30", "≤ 10"));
    }
    if let Some(series) = here.push_at(Rhythm::Idle) {
        let p50 = spread(series.spread(|sample| sample.p50_ms));
        rows.push(row("to the socket at 1, p50 ms", p50, "≤ 2", "≤ 1"));
    }
    if let Some(series) = here.push_at(Rhythm::Closed) {
        let p99 = spread(series.spread(|sample| sample.p99_ms));
        rows.push(row("to the socket at 64, p99 ms", p99, "≤ 30", "≤ 10"));
    }
    if let Some(series) = here.push_at(Rhythm::Half) {
        let p99 = spread(series.spread(|sample| sample.p99_ms));
        rows.push(row("to the socket at half of the peak, p99 ms", p99, "", "≤ 50"));
    }
    if let Some(series) = here.sends_with(1) {
        let sync = |bare: &crate::baseline::BaselineSample| bare.sync_ms;
        let syncs = spread(series.against(baseline, |sample| sample.p50_ms, sync));
        rows.push(row("send at 1, p50, in writes with fdatasync", syncs, "", ""));
    }
    rows
}

fn between_builds(report: &Report) -> Vec<Vec<String>> {
    let at_usual = |name: &str| report.outcome(name).and_then(|it| it.sends_with(USUAL));
    let mut rows = Vec::new();
    let mut compare = |own: &str, other: &str, what: [&str; 2], must: &str, goal: &str| {
        let (Some(own), Some(other)) = (at_usual(own), at_usual(other)) else { return };
        let ratio = |figure: fn(&SendSample) -> f64| spread(own.against(other, figure, figure));
        rows.push(row(what[0], ratio(sends), must, goal));
        rows.push(row(what[1], ratio(relayed), "", ""));
    };
    let what = ["sends/s at 64, of the Django pair", "relayed/s at 64, of the Django pair"];
    compare(HERE, DJANGO, what, "≥ 50", "≥ 100");
    let what = ["sends/s at 64, PostgreSQL of SQLite", "relayed/s at 64, PostgreSQL of SQLite"];
    compare(POSTGRES, HERE, what, "≥ 0.5", "≥ 1");
    let what = ["sends/s at 64, two replicas of one", "relayed/s at 64, two replicas of one"];
    compare(REPLICAS, POSTGRES, what, "", "");
    let what = ["sends/s at 64, of the build of --against", "relayed/s at 64, of that build"];
    compare(HERE, AGAINST, what, "", "≥ 0.9");
    rows
}

fn sockets(report: &Report) -> Vec<Vec<String>> {
    let Some(sockets) = &report.sockets else { return Vec::new() };
    let of = |figure: &dyn Fn(&SocketSample) -> f64| spread(sockets.series.spread(figure));
    let count = sockets.count;
    vec![
        row("memory of an idle process, MiB", of(&|it| it.idle_kib / 1024.0), "", "≤ 30"),
        row("memory of an idle socket, KiB", of(&|it| it.each_of_all(count)), "", "≤ 20"),
    ]
}

fn growth(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for growth in &report.growth {
        let long = || growth.subjects.iter().filter(|it| it.dimension == Dimension::Messages);
        let (Some(first), Some(last)) = (long().next(), long().next_back()) else { continue };
        let page = Series::against(&last.series, &first.series, |it| it.page_ms, |it| it.page_ms);
        let sizes = format!("{} messages of {}", number_of(last.size), number_of(first.size));
        let name = format!("newest page, {sizes}, {}", growth.database);
        rows.push(row(&name, spread(page), "≤ 1.5", "≤ 1.1"));
    }
    rows
}

fn number_of(size: u64) -> String {
    number(crate::figures::count(size))
}
