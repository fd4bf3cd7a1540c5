//! Finds the plan of a working job again, from the plan that the status recorded. Pure. An operator of another version may prefer another
//! plan, estimate memory differently, or print other text; none of these restarts a job.

use crate::report::status::plan_status;
use crate::turn::{Error, prepare};
use crate::validate::{self, Platform};
use api::Job;
use api::plan::{Budget, PLAN_VERSION, Plan, Recorded};
use crds::ArrayJob;
use crds::v1alpha1::status::PlanStatus;

/// The result of comparing a recorded plan with the plans of this operator.
#[derive(Debug)]
pub enum PlanMatch {
    /// The servers work by this plan.
    Same(Box<(Job, Plan)>),
    /// This version plans the manifest differently, for this reason.
    Different(String),
    /// This version cannot plan the manifest.
    Unplannable(Error),
}

/// Finds the plan that `recorded` describes.
pub fn match_recorded_plan(manifest: &ArrayJob, budget: &Budget, platform: Platform, recorded: &PlanStatus) -> PlanMatch {
    let job = match validate::validate(manifest, platform) {
        Ok(job) => job,
        Err(invalid) => return PlanMatch::Unplannable(invalid.into()),
    };
    let servers = usize::try_from(recorded.servers).unwrap_or(usize::MAX);
    if let Some(plan) = Plan::with_identity(&job, servers, budget, &recorded.fingerprint) {
        return PlanMatch::Same(Box::new((job, plan)));
    }
    let preferred = prepare(manifest, budget, platform);
    let why = match Recorded::of(&recorded.fingerprint) {
        Recorded::Unversioned => {
            let preferred = preferred.as_ref().ok().map(|(_, plan)| plan.clone());
            let same = |plan: &Plan| difference(plan, recorded).is_none();
            let found = preferred.filter(same).or_else(|| Plan::considered(&job, servers, budget).find(same));
            if let Some(plan) = found {
                return PlanMatch::Same(Box::new((job, plan)));
            }
            "the recorded plan has no version".to_owned()
        }
        Recorded::OtherVersion(version) => {
            format!("the recorded plan has version {version}, and this operator creates plans of version {PLAN_VERSION}")
        }
        Recorded::Current => "this operator does not consider the recorded plan".to_owned(),
        Recorded::Unknown => format!("no operator records plans with the fingerprint {:?}", recorded.fingerprint),
    };
    match preferred {
        Ok((_, plan)) => PlanMatch::Different(match difference(&plan, recorded) {
            Some(difference) => format!("{why}; {difference}"),
            None => why,
        }),
        Err(error) => PlanMatch::Unplannable(error),
    }
}

/// The first value that differs between `recorded` and `plan`, in a sentence. Estimates of memory and printed text are ignored.
fn difference(plan: &Plan, recorded: &PlanStatus) -> Option<String> {
    // Destructured without `..`: a new field does not compile before this code states whether the field distinguishes plans.
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
