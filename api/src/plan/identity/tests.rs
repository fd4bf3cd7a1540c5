use super::*;
use crate::fixture::job;
use crate::geometry::Dtype;
use crate::plan::{Allowance, Budget};

const BUDGET: Budget = Budget { memory: Allowance::PerServer(8 << 30), cores: 2 };

fn plan() -> Plan {
    Plan::new(&job(40, 30, 20), Some(3), &BUDGET).unwrap()
}

#[test]
fn memory_numbers_and_threads_do_not_change_the_identity() {
    let plan = plan();
    let other = Plan { threads: plan.threads + 1, memory: vec![], spare: 7, decoded_frames: 0, ..plan.clone() };
    assert_ne!(plan.to_string(), other.to_string(), "the printed text differs");
    assert_eq!(plan.identity(), other.identity());
    assert_eq!(Recorded::of(&plan.identity()), Recorded::Current);
}

#[test]
fn each_field_that_a_server_acts_on_changes_the_identity() {
    let plan = plan();
    let partition = plan.partition;
    let mut changed: Vec<Plan> = [
        Partition { servers: 4, ..partition },
        Partition { frames: partition.frames + 1, ..partition },
        Partition { frame: FrameSpec { height: 1, ..partition.frame }, ..partition },
        Partition { frame: FrameSpec { dtype: Dtype::Uint16, ..partition.frame }, ..partition },
        Partition { stack: FrameSpec { width: 1, ..partition.stack }, ..partition },
        Partition { stack: FrameSpec { dtype: Dtype::Float32, ..partition.stack }, ..partition },
        Partition { slab_frames: partition.slab_frames + 1, ..partition },
        Partition { band_pixels: partition.band_pixels + 1, ..partition },
        Partition { exchanges: !partition.exchanges, ..partition },
        Partition { chunks: [1, 2, 3], ..partition },
        Partition { chunks: [3, 2, 1], ..partition },
    ]
    .map(|partition| Plan { partition, ..plan.clone() })
    .into();
    let (fft, pace) = (plan.fft.unwrap(), plan.pace);
    changed.extend([
        Plan { fft: None, ..plan.clone() },
        Plan { fft: Some(Fft { output: FftOutput::Complex, ..fft }), ..plan.clone() },
        Plan { fft: Some(Fft { window: Window::Hann, ..fft }), ..plan.clone() },
        Plan { fft: Some(Fft { detrend: Detrend::Linear, ..fft }), ..plan.clone() },
        Plan { bins: plan.bins + 1, ..plan.clone() },
        Plan { keep: vec![], ..plan.clone() },
        Plan { keep: vec![Kept::Spectrum, Kept::Raw], ..plan.clone() },
        Plan { storage: Placement::Disk, ..plan.clone() },
        Plan { storage: Placement::TilesOnDisk, ..plan.clone() },
        Plan { bands_in_flight: plan.bands_in_flight + 1, ..plan.clone() },
        Plan { overlap: !plan.overlap, ..plan.clone() },
        Plan { pace: Pace { group: pace.group + 1, ..pace }, ..plan.clone() },
        Plan { pace: Pace { groups: pace.groups + 1, ..pace }, ..plan.clone() },
        Plan { pace: Pace { requests: pace.requests + 1, ..pace }, ..plan.clone() },
    ]);
    let mut identities: Vec<String> = changed.iter().map(Plan::identity).collect();
    identities.push(plan.identity());
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), changed.len() + 1);
}

#[test]
fn a_recorded_plan_is_found_again_even_if_its_memory_no_longer_fits() {
    let plan = plan();
    let found = |budget: &Budget| Plan::with_identity(&job(40, 30, 20), 3, budget, &plan.identity());
    assert_eq!(found(&BUDGET).as_ref(), Some(&plan));
    let tight = Budget { memory: Allowance::PerServer(plan.peak_bytes() - 1), ..BUDGET };
    let preferred = Plan::new(&job(40, 30, 20), Some(3), &tight).ok().map(|other| other.identity());
    assert_ne!(preferred, Some(plan.identity()), "the planner prefers another plan");
    assert_eq!(found(&tight), Some(Plan { spare: 0, ..plan.clone() }));
    assert_eq!(Plan::with_identity(&job(40, 30, 20), 4, &BUDGET, &plan.identity()), None);
}

#[test]
fn the_form_of_a_recorded_identity_states_its_version() {
    for (identity, expected) in [
        ("v1-0123456789abcdef", Recorded::Current),
        ("v7-0123456789abcdef", Recorded::OtherVersion(7)),
        ("0123456789abcdef", Recorded::Unversioned),
        ("v1-0123", Recorded::Unknown),
        ("an older version's", Recorded::Unknown),
        ("", Recorded::Unknown),
    ] {
        assert_eq!(Recorded::of(identity), expected, "{identity}");
    }
}
