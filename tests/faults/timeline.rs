//! What a run reports on standard error with `--progress json`, by time.

use serde_json::Value;

/// Names of phases in the table, in their order.
pub(crate) const PHASES: [&str; 7] = ["start", "Load", "Recenter and Rechunk", "Fft", "Write", "pictures", "serving"];

/// The reports of a run.
#[derive(Debug)]
pub(crate) struct Timeline {
    lines: Vec<Value>,
    /// Lines that are not JSON: the final message of a run that fails.
    pub(crate) sentences: Vec<String>,
}

fn seconds(line: &Value) -> Option<f64> {
    line["seconds"].as_f64()
}

impl Timeline {
    /// The reports in the lines of standard error.
    pub(crate) fn of(stderr: &[String]) -> Self {
        let mut timeline = Self { lines: Vec::new(), sentences: Vec::new() };
        for line in stderr {
            match serde_json::from_str(line) {
                Ok(value) => timeline.lines.push(value),
                Err(_) => timeline.sentences.push(line.clone()),
            }
        }
        timeline
    }

    /// When a phase was complete, in seconds since the start of the command.
    pub(crate) fn completed(&self, name: &str) -> Option<f64> {
        let complete = |line: &&Value| line["phase"]["name"] == name && line["phase"]["done"] == line["phase"]["total"];
        self.lines.iter().find(complete).and_then(seconds)
    }

    /// The phase at a time, in seconds since the start of the command. `requested`: whether the source had requests at that time.
    pub(crate) fn phase_at(&self, time: f64, requested: bool) -> &'static str {
        let complete = |name: &str| self.completed(name).is_some_and(|reported| reported <= time);
        if !requested {
            return PHASES[0];
        }
        let phases = [("Load", PHASES[1]), ("Rechunk", PHASES[2]), ("Fft", PHASES[3]), ("Write", PHASES[4])];
        phases.iter().find(|(name, _)| !complete(name)).map_or(PHASES[5], |(_, shown)| shown)
    }

    /// Each reported loss: the server, and its time in seconds.
    pub(crate) fn losses(&self) -> Vec<(usize, f64)> {
        self.events("lost")
    }

    fn events(&self, event: &str) -> Vec<(usize, f64)> {
        self.lines.iter().filter_map(|line| Some((line[event]["server"].as_u64()? as usize, seconds(line)?))).collect()
    }

    /// Seconds from `time` to the first report of a loss.
    pub(crate) fn noticed_after(&self, time: f64) -> Option<f64> {
        self.losses().into_iter().map(|(_, at)| at - time).find(|after| *after > -0.1)
    }

    /// Seconds from `time` to the last report of a replacement that responds.
    pub(crate) fn replaced_after(&self, time: f64) -> Option<f64> {
        self.events("restarted").last().map(|(_, at)| at - time)
    }

    /// Seconds from `time` until the phase of that time has its former progress again, at the latest until the job is done.
    pub(crate) fn recovered_after(&self, time: f64) -> Option<f64> {
        let after = self.replaced_after(time).unwrap_or(0.0) + time;
        let done = self.done();
        let Some((_, name, before)) = self.phases().rfind(|(at, ..)| *at <= time) else {
            return self.replaced_after(time).or(done.map(|done| done - time));
        };
        let back = self.phases().find(|(at, of, done)| *at > after && *of == name && *done >= before).map(|(at, ..)| at);
        back.or(done).map(|at| at - time)
    }

    /// Seconds from `time` to the next report of more progress than before, at the latest to the end of the job.
    pub(crate) fn next_after(&self, time: f64) -> Option<f64> {
        let before = |name: &str| self.phases().filter(|(at, of, _)| *at <= time && *of == name).map(|(.., done)| done).max().unwrap_or(0);
        let next = self.phases().find(|(at, name, done)| *at > time && *done > before(name));
        next.map(|(at, ..)| at).or_else(|| self.done()).map(|at| at - time)
    }

    /// Each report of a phase: its time, the phase, and the number of units that are done.
    fn phases(&self) -> impl DoubleEndedIterator<Item = (f64, &str, u64)> {
        self.lines.iter().filter_map(|line| Some((seconds(line)?, line["phase"]["name"].as_str()?, line["phase"]["done"].as_u64()?)))
    }

    /// The planned memory of all servers together, in bytes.
    pub(crate) fn planned_bytes(&self) -> Option<u64> {
        self.lines.iter().find_map(|line| Some(line["plan"]["peak_bytes"].as_u64()? * line["plan"]["servers"].as_u64()?))
    }

    /// The sum of the peaks of all servers, in bytes.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        self.lines.iter().find_map(|line| line["summary"]["peak_rss_bytes"].as_u64())
    }

    /// When the job was done, in seconds since the start of the command.
    pub(crate) fn done(&self) -> Option<f64> {
        self.lines.iter().find_map(|line| line["summary"]["seconds"].as_f64())
    }
}
