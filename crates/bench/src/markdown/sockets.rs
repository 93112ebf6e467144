use super::table::{cores, number, section, spread, table};
use crate::report::Report;
use crate::sockets::{AUDIENCE, SocketSample};

/// Idle sockets and the fan-out.
pub fn render(report: &Report) -> Option<String> {
    let sockets = report.sockets.as_ref()?;
    let (count, series) = (sockets.count, &sockets.series);
    let of = |figure: &dyn Fn(&SocketSample) -> f64| spread(series.spread(figure));
    let number_of = |count: usize| number(crate::figures::count(count as u64));
    let (few, all) = (number_of(AUDIENCE), number_of(count));
    let fan_out = |which: &str| format!("one message to {few} sockets, {all} open, {which}, ms");
    let [server, _, generator, rest] = cores(series, |sample| sample.cores);
    let mut rows = vec![
        vec!["memory of app-b without sockets, MiB".to_owned(), of(&|it| it.idle_kib / 1024.0)],
        vec![format!("with {few} idle sockets, MiB"), of(&|it| it.few_kib / 1024.0)],
        vec!["each of them, KiB".to_owned(), of(&SocketSample::each_of_few)],
    ];
    if count > AUDIENCE {
        rows.push(vec![format!("with {all} idle sockets, MiB"), of(&|it| it.all_kib / 1024.0)]);
        rows.push(vec!["each of them, KiB".to_owned(), of(&|it| it.each_of_all(count))]);
    }
    rows.extend([
        vec!["sockets opened per second".to_owned(), of(&|it| it.opened_per_second)],
        vec![fan_out("p50"), of(&|it| it.fan_out_p50_ms)],
        vec![fan_out("p99"), of(&|it| it.fan_out_p99_ms)],
        vec![fan_out("the last"), of(&|it| it.fan_out_last_ms)],
    ]);
    let about = format!(
        "Each round on a process that has just been started. Memory is resident memory (RSS); what the kernel keeps for a \
         connection is not in it. The time of a fan-out is from the request to the frame, the generator's reading \
         included; the cores meanwhile: app-b {server}, generator {generator}, rest {rest}."
    );
    let table = table(&["sockets", "median (least–greatest)"], rows);
    Some(section("Sockets", &format!("{table}\n\n{about}")))
}
