//! The identity of a plan: two plans with the same identity give every server the same work in the same form.

use super::{Pace, Plan};
use crate::geometry::FrameSpec;
use crate::hash::Fnv1a;
use crate::job::{Detrend, Fft, FftOutput, Kept, Storage, Window};

/// Version of the meaning of a plan. Raise the version when the same fields come to mean something else, for example another order of bands:
/// servers of the old and of the new version would not fit together.
pub const PLAN_VERSION: u32 = 1;

impl Plan {
    /// The identity, as `v1-` and 16 hexadecimal digits: the version and a hash of named fields. Printed text is not part of it.
    pub fn identity(&self) -> String {
        // Destructured without `..`: a new field does not compile before this code states whether the field belongs to the identity.
        let Self {
            servers,
            threads: _, // Changes the speed, and no result.
            frames,
            frame,
            stack,
            slab_frames,
            band_pixels,
            exchanges,
            fft,
            bins,
            keep,
            chunks,
            storage,
            window,
            overlap,
            pace,
            decoded_frames: _, // Follows from `pace` and the source.
            memory: _,         // An estimate: another estimate of the same work is the same work.
            spare: _,          // Follows from `memory` and the budget.
        } = self;
        let mut hash = Fnv1a::default();
        let numbers = [
            ("servers", *servers),
            ("frames", *frames),
            ("slabFrames", *slab_frames),
            ("bandPixels", *band_pixels),
            ("exchanges", usize::from(*exchanges)),
            ("bins", *bins),
            ("window", *window),
            ("overlap", usize::from(*overlap)),
        ];
        let Pace { group, groups, requests } = *pace;
        let pace = [("pace.group", group), ("pace.groups", groups), ("pace.requests", requests)];
        let [t, y, x] = *chunks;
        let chunks = [("chunks.t", t), ("chunks.y", y), ("chunks.x", x)];
        let specs = [("frame", frame), ("stack", stack)].map(|(name, FrameSpec { height, width, dtype })| {
            hash.field(name, dtype.name().as_bytes());
            [(name, *height), (name, *width)]
        });
        for (name, value) in numbers.into_iter().chain(pace).chain(chunks).chain(specs.into_iter().flatten()) {
            hash.field(name, &(value as u64).to_le_bytes());
        }
        for kept in keep {
            hash.field("keep", kept_name(*kept).as_bytes());
        }
        hash.field("storage", storage_name(*storage).as_bytes());
        if let Some(Fft { output, window, detrend }) = fft {
            for (name, value) in
                [("fft.output", output_name(*output)), ("fft.window", window_name(*window)), ("fft.detrend", detrend_name(*detrend))]
            {
                hash.field(name, value.as_bytes());
            }
        }
        format!("v{PLAN_VERSION}-{:016x}", hash.finish())
    }
}

/// An identity as the status of a job recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// By a planner of this version.
    Current,
    /// By a planner of another version.
    OtherVersion(u32),
    /// By an operator before identities had versions: a hash of printed text, 16 hexadecimal digits. The hash cannot be computed again.
    Unversioned,
    /// By no operator.
    Unknown,
}

impl Recorded {
    /// Which planner recorded `identity`.
    pub fn of(identity: &str) -> Self {
        let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash(identity) {
            return Self::Unversioned;
        }
        let parsed = identity.strip_prefix('v').and_then(|rest| rest.split_once('-')).filter(|(_, hash)| is_hash(hash));
        match parsed.and_then(|(version, _)| version.parse().ok()) {
            Some(PLAN_VERSION) => Self::Current,
            Some(version) => Self::OtherVersion(version),
            None => Self::Unknown,
        }
    }
}

// Names of their own: neither a label for people nor a name on the wire may change an identity.

const fn kept_name(kept: Kept) -> &'static str {
    match kept {
        Kept::Raw => "raw",
        Kept::Recentered => "recentered",
        Kept::Rechunked => "rechunked",
        Kept::Spectrum => "spectrum",
    }
}

const fn storage_name(storage: Storage) -> &'static str {
    match storage {
        Storage::Auto => "auto",
        Storage::Memory => "memory",
        Storage::Disk => "disk",
    }
}

const fn output_name(output: FftOutput) -> &'static str {
    match output {
        FftOutput::Power => "power",
        FftOutput::Amplitude => "amplitude",
        FftOutput::Complex => "complex",
    }
}

const fn window_name(window: Window) -> &'static str {
    match window {
        Window::None => "none",
        Window::Hann => "hann",
    }
}

const fn detrend_name(detrend: Detrend) -> &'static str {
    match detrend {
        Detrend::None => "none",
        Detrend::Constant => "constant",
        Detrend::Linear => "linear",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::job;
    use crate::plan::{Allowance, Budget};

    const BUDGET: Budget = Budget { memory: Allowance::PerServer(8 << 30), cores: 2 };

    #[test]
    fn memory_numbers_and_threads_do_not_change_the_identity() {
        let plan = Plan::new(&job(40, 30, 20), Some(3), &BUDGET).unwrap();
        let other = Plan { threads: plan.threads + 1, memory: vec![], spare: 7, decoded_frames: 0, ..plan.clone() };
        assert_ne!(plan.to_string(), other.to_string(), "the printed text differs");
        assert_eq!(plan.identity(), other.identity());
        assert_eq!(Recorded::of(&plan.identity()), Recorded::Current);
    }

    #[test]
    fn each_field_that_a_server_acts_on_changes_the_identity() {
        let plan = Plan::new(&job(40, 30, 20), Some(3), &BUDGET).unwrap();
        let changed: Vec<Plan> = vec![
            Plan { servers: 4, ..plan.clone() },
            Plan { frames: plan.frames + 1, ..plan.clone() },
            Plan { frame: FrameSpec { height: 1, ..plan.frame }, ..plan.clone() },
            Plan { stack: FrameSpec { width: 1, ..plan.stack }, ..plan.clone() },
            Plan { slab_frames: plan.slab_frames + 1, ..plan.clone() },
            Plan { band_pixels: plan.band_pixels + 1, ..plan.clone() },
            Plan { exchanges: !plan.exchanges, ..plan.clone() },
            Plan { fft: None, ..plan.clone() },
            Plan { bins: plan.bins + 1, ..plan.clone() },
            Plan { keep: vec![], ..plan.clone() },
            Plan { chunks: [1, 2, 3], ..plan.clone() },
            Plan { storage: Storage::Disk, ..plan.clone() },
            Plan { window: plan.window + 1, ..plan.clone() },
            Plan { overlap: !plan.overlap, ..plan.clone() },
            Plan { pace: Pace { group: plan.pace.group + 1, ..plan.pace }, ..plan.clone() },
        ];
        let mut identities: Vec<String> = changed.iter().map(Plan::identity).collect();
        identities.push(plan.identity());
        identities.sort();
        identities.dedup();
        assert_eq!(identities.len(), changed.len() + 1);
    }

    #[test]
    fn a_recorded_plan_is_found_again_even_when_its_memory_no_longer_fits() {
        let plan = Plan::new(&job(40, 30, 20), Some(3), &BUDGET).unwrap();
        let found = |budget: &Budget| Plan::with_identity(&job(40, 30, 20), 3, budget, &plan.identity());
        assert_eq!(found(&BUDGET).as_ref(), Some(&plan));
        let tight = Budget { memory: Allowance::PerServer(plan.peak_bytes() - 1), ..BUDGET };
        assert_ne!(
            Plan::new(&job(40, 30, 20), Some(3), &tight).ok().map(|other| other.identity()),
            Some(plan.identity()),
            "another plan would be chosen"
        );
        assert_eq!(found(&tight), Some(Plan { spare: 0, ..plan.clone() }));
        assert_eq!(Plan::with_identity(&job(40, 30, 20), 4, &BUDGET, &plan.identity()), None);
    }

    #[test]
    fn the_planner_of_a_recorded_identity_is_known() {
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
}
