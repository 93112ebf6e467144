//! The report for people.

mod baseline;
mod contest;
mod growth;
mod ratios;
mod sockets;
mod table;

use crate::contest::Outcome;
use crate::figures::count;
use crate::report::Report;
use table::{grouped, section, table};

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut parts = vec![
        "# Benchmark\n\nBoth apps as release builds in processes of their own, over the loopback device, generator and \
         servers on the same cores. Messages of 200 bytes, one request at a time on each keep-alive connection. \
         Figures are medians over the rounds, with the least and the greatest."
            .to_owned(),
        environment(report),
    ];
    parts.extend(ratios::render(report));
    parts.extend(contest::render(report));
    parts.extend(sockets::render(report));
    parts.extend(growth::render(report));
    parts.extend(report.baseline.as_ref().map(baseline::render));
    parts.push(account(report));
    parts.join("\n\n") + "\n"
}

fn environment(report: &Report) -> String {
    let machine = &report.machine;
    let mut rows = vec![
        ("Cores", format!("{}, {}", machine.cores, machine.processor)),
        ("Memory", format!("{} MiB", machine.memory_mib)),
        ("Kernel", machine.kernel.clone()),
        ("Compiler", machine.rustc.clone()),
        ("File system", machine.file_system.clone()),
        ("SQLite", "WAL, synchronous=FULL".to_owned()),
    ];
    if let Some(settings) = &report.postgres {
        rows.push(("PostgreSQL", settings.clone()));
    }
    rows.push(("Measured for", format!("{} s in each round", report.span_seconds)));
    if report.rounds > 0 {
        rows.push(("Rounds", report.rounds.to_string()));
    }
    rows.push(("Load average before", machine.load_before.clone()));
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    table(&["Environment", ""], rows)
}

fn account(report: &Report) -> String {
    let sum = |figure: fn(&Outcome) -> u64| report.outcomes.iter().map(figure).sum::<u64>();
    let mut lines = vec![format!(
        "{}: {} messages acknowledged between apps in the whole run, {} lost, {} doubled. The run took {:.0} s.",
        if report.is_sound() { "Every message arrived once" } else { "NOT SOUND" },
        grouped(count(sum(|outcome| outcome.acknowledged))),
        sum(|outcome| outcome.difference.lost),
        sum(|outcome| outcome.difference.doubled),
        report.took_seconds
    )];
    for Outcome { name, complaints: [a, b], .. } in &report.outcomes {
        if a + b > 0 {
            lines.push(format!(
                "- Warnings and errors in the logs of {name}: app-a {a}, app-b {b}."
            ));
        }
    }
    lines.extend(report.notes.iter().map(|note| format!("- {note}")));
    section("Account", &lines.join("\n"))
}
