use super::table::{cores, number, section, spread, table};
use crate::baseline::BaselineSample;
use crate::report::Series;
use crate::usage::Cores;

/// What the machine does at best, and what else it was doing.
pub fn render(series: &Series<BaselineSample>) -> String {
    let head = ["baseline", "median (least–greatest)", "cores server", "generator", "rest"];
    let rate = |name: &str, figure: fn(&BaselineSample) -> (f64, Cores)| {
        let [server, _, generator, rest] = cores(series, |sample| figure(sample).1);
        let rates = spread(series.spread(|sample| figure(sample).0));
        vec![name.to_owned(), rates, server, generator, rest]
    };
    let sync = "one write of 4 KiB and fdatasync, ms".to_owned();
    let mut sync = vec![sync, spread(series.spread(|sample| sample.sync_ms))];
    sync.resize(head.len(), String::new());
    let rows = [
        rate("bare axum JSON POST/s at 64", |s| (s.posts_per_second, s.post_cores)),
        rate("bare page of 4 KiB/s at 64", |s| (s.pages_per_second, s.page_cores)),
        rate("the generator's own ceiling: POST/s at 64 to a server that only counts bytes", |s| {
            (s.ceiling_per_second, s.ceiling_cores)
        }),
        sync,
    ];
    let rest = number(series.median(|sample| sample.post_cores.rest));
    let about = format!(
        "The generator is one thread. While the bare server was measured, what else runs on the machine took {rest} \
         cores; the fewer, the better the figures."
    );
    section("Baselines", &format!("{}\n\n{about}", table(&head, rows)))
}
