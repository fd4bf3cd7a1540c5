//! The identity of a plan. Two plans with the same identity give every server the same work in the same form.

use super::{Pace, Partition, Placement, Plan};
use crate::geometry::FrameSpec;
use crate::hash::Fnv1a;
use crate::job::{Detrend, Fft, FftOutput, Kept, Window};

/// Version of the meaning of a plan. Raise the version when the same values of the fields mean other work, for example another order of
/// bands: servers of the old and of the new version then cannot work on one job.
pub const PLAN_VERSION: u32 = 1;

impl Plan {
    /// The identity: `v1-` and 16 hexadecimal digits, the version and a hash of named fields. No printed text is part of the hash.
    pub fn identity(&self) -> String {
        // Destructured without `..`: a new field does not compile before this code states whether the field belongs to the identity.
        let Self {
            partition: Partition { servers, frames, frame, stack, slab_frames, band_pixels, exchanges, chunks },
            threads: _, // Changes the speed, and no result.
            fft,
            bins,
            keep,
            storage,
            bands_in_flight,
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
            ("window", *bands_in_flight),
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

/// The kind of an identity that the status of a job contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Recorded by a planner of this version.
    Current,
    /// Recorded by a planner of another version.
    OtherVersion(u32),
    /// Recorded by an operator before identities had versions: a hash of printed text, 16 hexadecimal digits. No later version can
    /// compute the hash again.
    Unversioned,
    /// Not the form of any version.
    Unknown,
}

impl Recorded {
    /// Reads the form of `identity`.
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

// Names for the hash alone: a change of a printed label or of a JSON name must not change an identity.

const fn kept_name(kept: Kept) -> &'static str {
    match kept {
        Kept::Raw => "raw",
        Kept::Recentered => "recentered",
        Kept::Rechunked => "rechunked",
        Kept::Spectrum => "spectrum",
    }
}

const fn storage_name(storage: Placement) -> &'static str {
    match storage {
        Placement::Memory => "memory",
        Placement::TilesOnDisk => "tilesOnDisk",
        Placement::Disk => "disk",
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
mod tests;
