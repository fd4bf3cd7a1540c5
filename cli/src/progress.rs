//! How far a run is, told on standard error: bars on a terminal, lines or JSON otherwise.

use crate::args::ProgressKind;
use api::geometry::human_bytes;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use operator::report::PhaseReport;
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Between two lines of the same phase.
const LINE_EVERY: Duration = Duration::from_millis(1000);

/// Tells it.
#[derive(Debug)]
pub struct Progress {
    kind: Kind,
    started: Instant,
    finished: Vec<String>,
    told: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    Bars { all: MultiProgress, bars: Vec<(String, ProgressBar)> },
    Lines,
    Json,
}

impl Progress {
    /// Tells as asked; `Auto` is bars on a terminal and lines elsewhere.
    pub fn new(kind: ProgressKind, started: Instant) -> Self {
        let kind = match kind {
            ProgressKind::Auto if std::io::stderr().is_terminal() => Kind::Bars { all: MultiProgress::new(), bars: Vec::new() },
            ProgressKind::Auto | ProgressKind::Plain => Kind::Lines,
            ProgressKind::Json => Kind::Json,
        };
        Self { kind, started, finished: Vec::new(), told: None }
    }

    /// One sentence, for people; not in JSON.
    pub fn say(&self, text: &str) {
        match &self.kind {
            // A terminal that went away has nobody to tell.
            Kind::Bars { all, .. } => drop(all.println(text)),
            Kind::Lines => line(text),
            Kind::Json => {}
        }
    }

    /// Where the job can be watched, which opens with the token: for who sits in front of it, or wants it served. Lines that are
    /// nobody's to open may be kept in a log for ever.
    pub fn watch(&self, url: &str, served: bool) {
        if served || matches!(self.kind, Kind::Bars { .. }) {
            self.say(&format!("watch it at {url}"));
        }
        self.object(&json!({"watch": url}));
    }

    /// One object, in JSON only.
    pub fn object(&self, value: &Value) {
        if matches!(self.kind, Kind::Json) {
            line(&value.to_string());
        }
    }

    /// How far every phase is.
    pub fn update(&mut self, phases: &[PhaseReport]) {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Kind::Bars { all, bars } = &mut self.kind {
            for phase in phases {
                let bar = bar_of(all, bars, phase);
                bar.set_position(phase.done);
                bar.set_message(rate(phase));
                if phase.done >= phase.total && !bar.is_finished() {
                    bar.finish();
                }
            }
            return;
        }
        let due = self.told.is_none_or(|told| told.elapsed() >= LINE_EVERY);
        for phase in phases {
            let complete = phase.done >= phase.total;
            if self.finished.contains(&phase.name) || phase.done == 0 || !(complete || due) {
                continue;
            }
            if complete {
                self.finished.push(phase.name.clone());
            }
            self.told = Some(Instant::now());
            match self.kind {
                Kind::Json => line(&json!({"seconds": seconds, "phase": phase}).to_string()),
                _ => {
                    line(&format!(
                        "{seconds:7.2} s  {:<9} {:>6}/{} {}  {}",
                        phase.name,
                        phase.done,
                        phase.total,
                        phase.unit(),
                        rate(phase)
                    ));
                }
            }
        }
    }

    /// The bars stay as they are.
    pub fn end(&mut self) {
        if let Kind::Bars { bars, .. } = &self.kind {
            bars.iter().filter(|(_, bar)| !bar.is_finished()).for_each(|(_, bar)| bar.abandon());
        }
    }
}

fn bar_of<'a>(all: &MultiProgress, bars: &'a mut Vec<(String, ProgressBar)>, phase: &PhaseReport) -> &'a ProgressBar {
    let index = bars.iter().position(|(name, _)| *name == phase.name).unwrap_or_else(|| {
        let bar = all.add(ProgressBar::new(phase.total));
        let style = ProgressStyle::with_template("{prefix:<9} {bar:32.cyan/blue} {pos:>6}/{len} {msg} eta {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(phase.name.clone());
        bars.push((phase.name.clone(), bar));
        bars.len() - 1
    });
    &bars[index].1
}

/// Bytes so far and per second, and what went wrong on the way.
fn rate(phase: &PhaseReport) -> String {
    let per_second = if phase.seconds > 0.0 { (phase.bytes as f64 / phase.seconds) as u64 } else { 0 };
    let retries = if phase.retries > 0 { format!(", {} retries", phase.retries) } else { String::new() };
    format!("{} ({}/s{retries})", human_bytes(phase.bytes), human_bytes(per_second))
}

/// A line on standard error; when that is closed there is nobody to tell.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
