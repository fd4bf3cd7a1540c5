//! The job of a seed.

use crate::dice::Dice;
use crate::source::HOST;
use api::geometry::{Dtype, FrameSpec};
use api::job::{Detrend, Fft, FftOutput, Images, Job, Kept, Method, OnError, Recenter, Reduction, Source, Storage, Window};
use api::plan::{Allowance, Budget, Plan};

/// A small job of one of many kinds.
pub(crate) fn job(seed: u64) -> Job {
    let mut dice = Dice::new(seed, "job");
    let frames = 8 + dice.below(17);
    let dtype = dice.pick(&[Dtype::Uint8, Dtype::Uint16]);
    let frame = FrameSpec { height: 6 + dice.below(8), width: 6 + dice.below(12), dtype };
    let crop = [3 + dice.below(frame.height - 3), 3 + dice.below(frame.width - 3)];
    let recenter = dice.percent(60).then_some(Recenter { crop, method: Method::Centroid, threshold: None });
    let fft = Fft {
        output: dice.pick(&[FftOutput::Power, FftOutput::Amplitude, FftOutput::Complex]),
        window: dice.pick(&[Window::None, Window::Hann]),
        detrend: dice.pick(&[Detrend::None, Detrend::Constant]),
    };
    let fft = dice.percent(80).then_some(fft);
    let images = Images::new(format!("http://{HOST}/{{index}}"));
    let rechunk = (fft.is_none() || dice.percent(50)).then(|| [-1_i64, 2, 2].map(|size| usize::try_from(size).unwrap_or(frames)));
    Job {
        name: "simulated".into(),
        uid: format!("job-{seed}"),
        generation: 1,
        source: Source::Images(images),
        frames,
        frame,
        on_error: OnError::Fail,
        slab_frames: 1 + dice.below(4),
        concurrency: 1 + dice.below(8),
        recenter,
        rechunk,
        fft,
        reduce: vec![dice.pick(&[Reduction::Mean, Reduction::Sum, Reduction::Max])],
        keep: Some(vec![Kept::Raw, Kept::Recentered, Kept::Rechunked, Kept::Spectrum]),
        outputs: vec![],
        storage: Storage::Memory,
        backoff_limit: 20,
    }
}

/// The plan of the job of a seed.
pub(crate) fn plan(seed: u64, job: &Job) -> Plan {
    let servers = 2 + Dice::new(seed, "servers").below(3);
    let budget = Budget { memory: Allowance::PerServer(2 << 30), cores: 1 };
    match Plan::new(job, Some(servers), &budget) {
        Ok(plan) => plan,
        Err(error) => panic!("the job of seed {seed} has no plan: {error}"),
    }
}
