//! The plan of a job at work, found again from what the status recorded of it: pure. An operator of another version may prefer another plan,
//! count memory otherwise, or print other words; none of that is a reason to start a job again.

use crate::report::status::plan_status;
use crate::turn::{Error, prepare};
use crate::validate::{self, Place};
use api::Job;
use api::plan::{Budget, PLAN_VERSION, Plan, Recorded};
use crds::ArrayJob;
use crds::v1alpha1::status::PlanStatus;

/// What this operator makes of a recorded plan.
#[derive(Debug)]
pub enum AtWork {
    /// The servers work by this plan.
    Known(Box<(Job, Plan)>),
    /// This version makes another plan of the manifest, with the reason in a sentence.
    Other(String),
    /// This version makes no plan of the manifest.
    Unplannable(Error),
}

/// Finds the plan that `recorded` describes.
pub fn at_work(manifest: &ArrayJob, budget: &Budget, place: Place, recorded: &PlanStatus) -> AtWork {
    let job = match validate::validate(manifest, place) {
        Ok(job) => job,
        Err(invalid) => return AtWork::Unplannable(invalid.into()),
    };
    let servers = usize::try_from(recorded.servers).unwrap_or(usize::MAX);
    if let Some(plan) = Plan::with_identity(&job, servers, budget, &recorded.fingerprint) {
        return AtWork::Known(Box::new((job, plan)));
    }
    let preferred = prepare(manifest, budget, place);
    let why = match Recorded::of(&recorded.fingerprint) {
        Recorded::Unversioned => {
            let preferred = preferred.as_ref().ok().map(|(_, plan)| plan.clone());
            let same = |plan: &Plan| difference(plan, recorded).is_none();
            let found = preferred.filter(same).or_else(|| Plan::considered(&job, servers, budget).find(same));
            if let Some(plan) = found {
                return AtWork::Known(Box::new((job, plan)));
            }
            "its plan was made before plans had versions".to_owned()
        }
        Recorded::OtherVersion(version) => format!("its plan has version {version}, this operator makes plans of version {PLAN_VERSION}"),
        Recorded::Current => "this operator does not consider its plan".to_owned(),
        Recorded::Unknown => format!("no operator recorded the fingerprint {:?}", recorded.fingerprint),
    };
    match preferred {
        Ok((_, plan)) => {
            AtWork::Other(difference(&plan, recorded).map_or_else(|| why.clone(), |difference| format!("{why}; {difference}")))
        }
        Err(error) => AtWork::Unplannable(error),
    }
}

/// The first number that `recorded` and `plan` disagree about, in a sentence. Estimates of memory and printed words do not count.
fn difference(plan: &Plan, recorded: &PlanStatus) -> Option<String> {
    // Destructured without `..`: a new field does not compile before this code states whether the field tells plans apart.
    let PlanStatus {
        generation: _,
        servers,
        threads: _,
        memory_limit_bytes: _,
        peak_bytes: _,
        scratch_bytes,
        frame_bytes,
        wire_bytes,
        storage,
        keep,
        fingerprint: _,
        summary: _,
    } = plan_status(plan, recorded.generation, recorded.memory_limit_bytes);
    let numbers = [
        ("servers", recorded.servers, servers),
        ("scratchBytes", recorded.scratch_bytes, scratch_bytes),
        ("frameBytes", recorded.frame_bytes, frame_bytes),
        ("wireBytes", recorded.wire_bytes, wire_bytes),
    ];
    let texts = [("storage", recorded.storage.clone(), storage), ("keep", recorded.keep.join(", "), keep.join(", "))];
    let numbers = numbers.map(|(name, was, is)| (name, was.to_string(), is.to_string()));
    let changed = numbers.into_iter().chain(texts).find(|(_, was, is)| was != is);
    changed.map(|(name, was, is)| format!("{name} was {was} and would be {is}"))
}
