//! The table of faults in docs/operations.md.

use crate::fault::Fault;
use crate::oracle::Outcome;
use crate::timeline::PHASES;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tests::fault_rows::Row;

/// Results of a run, by fault.
pub(crate) type Outcomes = BTreeMap<Fault, Vec<Outcome>>;

/// Median and maximum, in seconds.
fn times(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let shown = |seconds: f64| if seconds < 0.095 { format!("{seconds:.2}") } else { format!("{seconds:.1}") };
    match (seconds.get(seconds.len().saturating_sub(1) / 2), seconds.last()) {
        (Some(&median), Some(&maximum)) => format!("{}, {}", shown(median.max(0.0)), shown(maximum.max(0.0))),
        _ => "–".to_owned(),
    }
}

/// Each text with its number, without the number if there is one text only.
fn counted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    if counts.len() == 1 {
        return counts.keys().map(ToString::to_string).collect();
    }
    counts.iter().map(|(text, count)| format!("{text} ({count})")).collect::<Vec<_>>().join("; ")
}

fn row(table: &mut String, fault: Fault, outcomes: &[&Outcome]) {
    let order = |phase: &str| PHASES.iter().position(|name| *name == phase);
    let mut phases: Vec<&str> = outcomes.iter().map(|outcome| outcome.phase).collect();
    phases.sort_by_key(|phase| order(phase));
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for phase in phases {
        match counts.last_mut() {
            Some((last, count)) if *last == phase => *count += 1,
            _ => counts.push((phase, 1)),
        }
    }
    let phases = match counts[..] {
        [(phase, _)] => phase.to_owned(),
        _ => counts.iter().map(|(phase, count)| format!("{phase} {count}")).collect::<Vec<_>>().join(", "),
    };
    let seconds = |of: fn(&Outcome) -> Option<f64>| times(outcomes.iter().filter_map(|outcome| of(outcome)).collect());
    let (noticed, replaced, recovered) = (seconds(|o| o.noticed), seconds(|o| o.replaced), seconds(|o| o.recovered));
    let what = counted(outcomes.iter().map(|outcome| outcome.what.as_str()));
    let (name, injected, count) = (fault.name(), fault.injected(), outcomes.len());
    let _ = writeln!(table, "| {name} | {injected} | {phases} | {count} | {what} | {noticed} | {replaced} | {recovered} |");
}

/// The table of local faults, in Markdown.
pub(crate) fn local(outcomes: &Outcomes) -> String {
    let mut table =
        "| Fault | Injected by | Phase | Times | What happened | Noticed after | Replaced after | Recovered after |\n".to_owned();
    table.push_str("|---|---|---|---|---|---|---|---|\n");
    for (fault, all) in outcomes {
        if fault.has_row_of_phase() {
            for phase in PHASES {
                let of_phase: Vec<&Outcome> = all.iter().filter(|outcome| outcome.phase == phase).collect();
                if !of_phase.is_empty() {
                    row(&mut table, *fault, &of_phase);
                }
            }
        } else {
            row(&mut table, *fault, &all.iter().filter(|outcome| PHASES.contains(&outcome.phase)).collect::<Vec<_>>());
        }
    }
    table
}

/// The table of faults on a cluster, in Markdown.
pub(crate) fn cluster(rows: &[Row]) -> String {
    let mut table = "#### Faults of the tests on a cluster\n\nTimes are seconds after the fault: median, maximum.\n\n".to_owned();
    table.push_str("| Fault | Injected by | Times | What happened | Recovered after |\n|---|---|---|---|---|\n");
    let mut groups: Vec<(&Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(first, _)| (&first.fault, &first.injected) == (&row.fault, &row.injected)) {
            Some((_, group)) => group.push(row),
            None => groups.push((row, vec![row])),
        }
    }
    for (first, group) in groups {
        let what = counted(group.iter().map(|row| row.outcome.as_str()));
        let recovered = times(group.iter().map(|row| row.seconds).collect());
        let _ = writeln!(table, "| {} | {} | {} | {what} | {recovered} |", first.fault, first.injected, group.len());
    }
    table
}

/// Replaces the text between the two comments with this name.
pub(crate) fn replace(document: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: written by make faults -->"), format!("<!-- end of {name} -->"));
    let (before, rest) = document.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim_end())
}
