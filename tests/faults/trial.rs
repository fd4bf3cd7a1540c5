//! One trial: a fault, its moment and its further random choices.

use crate::fault::{Fault, Group};
use crate::oracle::Outcome;
use crate::random::Random;
use crate::scene::{Moment, Reference};
use crate::{limits, readers, runs, servers, sources};
use std::fmt;

/// A trial. The seed of the run and the number of the trial determine the value.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    seed: u64,
    number: usize,
    pub(crate) fault: Fault,
    pub(crate) moment: Moment,
    /// Whether the large arrays are on the scratch disk.
    pub(crate) disk: bool,
    /// Further choices.
    pub(crate) random: Random,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, number, fault, moment, disk, .. } = self;
        write!(f, "SEED={seed} TRIAL={number}: {}, {moment:?}{}", fault.name(), if *disk { ", scratch on disk" } else { "" })
    }
}

impl Trial {
    /// Chooses a trial.
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let mut random = Random::new(seed, number);
        let fault = Fault::of_trial(number);
        let moment = match fault.group() {
            Group::Servers | Group::Run => Moment::random(&mut random),
            Group::Source => Moment::load(&mut random),
            Group::Readers => Moment::Serve(random.milliseconds(0..500)),
            Group::Limits => Moment::Any(0.0),
        };
        Self { seed, number, fault, moment, disk: random.below(4) == 0, random }
    }

    /// Injects the fault into a job, and checks what holds after it.
    pub(crate) fn run(&self, reference: &Reference) -> Outcome {
        match self.fault.group() {
            Group::Servers => servers::run(self, reference),
            Group::Run => runs::run(self, reference),
            Group::Source => sources::run(self, reference),
            Group::Readers => readers::run(self),
            Group::Limits => limits::run(self),
        }
    }
}
