//! Progress of a run on standard error: bars on a terminal, lines of text or JSON otherwise.

use crate::args::ProgressKind;
use crate::console::message;
use api::geometry::human_bytes;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use operator::report::PhaseReport;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Shortest time between two lines about incomplete phases.
const LINE_INTERVAL: Duration = Duration::from_millis(1000);

/// Writes progress in one of its forms.
#[derive(Debug)]
pub(crate) struct Progress {
    form: Form,
    started: Instant,
    /// Phases whose completion has been written.
    finished: Vec<String>,
    last_line: Option<Instant>,
}

#[derive(Debug)]
enum Form {
    Bars { all: MultiProgress, bars: Vec<(String, ProgressBar)> },
    Lines,
    Json,
}

impl Progress {
    /// Progress in the given form; `Auto` is bars on a terminal and lines elsewhere. Times count from `started`.
    pub(crate) fn new(kind: ProgressKind, started: Instant) -> Self {
        let form = match kind {
            ProgressKind::Auto if std::io::stderr().is_terminal() => Form::Bars { all: MultiProgress::new(), bars: Vec::new() },
            ProgressKind::Auto | ProgressKind::Plain => Form::Lines,
            ProgressKind::Json => Form::Json,
        };
        Self { form, started, finished: Vec::new(), last_line: None }
    }

    /// Writes one sentence; not in JSON.
    pub(crate) fn sentence(&self, text: &str) {
        match &self.form {
            // A closed terminal is ignored, as in `message`.
            Form::Bars { all, .. } => drop(all.println(text)),
            Form::Lines => message(text),
            Form::Json => {}
        }
    }

    /// Writes the URL of the job's page, which contains the token. Lines may be kept in a log, so they contain the URL only if
    /// the user asked to serve the job.
    pub(crate) fn page(&self, url: &str, served: bool) {
        if served || matches!(self.form, Form::Bars { .. }) {
            self.sentence(&format!("job page: {url}"));
        }
        self.object(&json!({"watch": url}));
    }

    /// Writes one object; in JSON only.
    pub(crate) fn object(&self, value: &Value) {
        if matches!(self.form, Form::Json) {
            message(&value.to_string());
        }
    }

    /// Writes one object with the seconds since the start; in JSON only.
    pub(crate) fn event(&self, mut value: Value) {
        value["seconds"] = self.started.elapsed().as_secs_f64().into();
        self.object(&value);
    }

    /// Writes the progress of every phase.
    pub(crate) fn update(&mut self, phases: &[PhaseReport]) {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Form::Bars { all, bars } = &mut self.form {
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
        let due = self.last_line.is_none_or(|last| last.elapsed() >= LINE_INTERVAL);
        for phase in phases {
            let complete = phase.done >= phase.total;
            if self.finished.contains(&phase.name) || phase.done == 0 || !(complete || due) {
                continue;
            }
            if complete {
                self.finished.push(phase.name.clone());
            }
            self.last_line = Some(Instant::now());
            match self.form {
                Form::Json => message(&json!({"seconds": seconds, "phase": phase}).to_string()),
                Form::Bars { .. } | Form::Lines => message(&format!(
                    "{seconds:7.2} s  {:<9} {:>6}/{} {}  {}",
                    phase.name,
                    phase.done,
                    phase.total,
                    phase.unit(),
                    rate(phase)
                )),
            }
        }
    }

    /// Leaves the bars on the screen in their last state.
    pub(crate) fn end(&mut self) {
        if let Form::Bars { bars, .. } = &self.form {
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

/// Bytes in total and per second, and the number of retries.
fn rate(phase: &PhaseReport) -> String {
    let per_second = if phase.seconds > 0.0 { (phase.bytes as f64 / phase.seconds) as u64 } else { 0 };
    let retries = if phase.retries > 0 { format!(", {} retries", phase.retries) } else { String::new() };
    format!("{} ({}/s{retries})", human_bytes(phase.bytes), human_bytes(per_second))
}
