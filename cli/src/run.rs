//! `arrayjob run`: a job on this machine, with chunk servers as processes. The loop is the same as for pods.

use crate::args::{ProgressKind, Run};
use crate::error::Error;
use crate::leftovers::OutputLocks;
use crate::local::{Advertisement, LocalJob, Losses, Processes};
use crate::out::Out;
use crate::outcome::Outcome;
use crate::paste::Readable;
use crate::progress::Progress;
use crate::reader::Reader;
use crate::signals::Signals;
use crate::{budget, manifest};
use api::job::{Job, Output};
use api::phase::{Failure, reason};
use api::plan::{Allowance, Placement, Plan};
use chunkserver::objects::Access;
use chunkserver::worker::discard;
use crds::ArrayJob;
use operator::report::report;
use operator::turn::prepare;
use operator::validate::Platform;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The settings of a run beyond its manifest.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The manifest's name in error messages.
    pub(crate) name: PathBuf,
    /// Folder for arrays, pictures and the summary.
    pub(crate) out: Option<PathBuf>,
    /// Memory of all servers together, in bytes; default: the memory of this machine.
    pub(crate) memory: Option<u64>,
    /// Whether to serve the arrays after the job is complete.
    pub(crate) serve: bool,
    /// Form of the progress.
    pub(crate) progress: ProgressKind,
    /// Start of the process.
    pub(crate) started: Instant,
}

/// Runs a manifest file.
///
/// # Errors
/// The manifest is invalid, the job does not fit or fails, or a signal stops it.
pub async fn run(args: Run, started: Instant) -> Result<(), Error> {
    let mut manifest = manifest::read(&args.file)?;
    manifest::set_servers(&mut manifest, args.servers);
    for save in &args.save {
        manifest.spec.outputs.push(manifest::saved_output(save)?);
    }
    let memory = args.memory.as_deref().map(budget::parse).transpose()?;
    let Run { file, out, serve, progress, .. } = args;
    run_manifest(manifest, Settings { name: file, out, memory, serve, progress, started }, |_| Ok(())).await
}

/// Runs a manifest. `check` sees the outcome before the arrays are served.
///
/// # Errors
/// As [`run`], and the errors of `check`.
pub(crate) async fn run_manifest(
    mut manifest: ArrayJob,
    settings: Settings,
    check: impl FnOnce(&Outcome) -> Result<(), Error>,
) -> Result<(), Error> {
    let invalid = |source| Error::Invalid { path: settings.name.clone(), source };
    manifest::complete(&settings.name, &mut manifest).await?;
    let mut budget = budget::here();
    if let Some(bytes) = settings.memory {
        budget.memory = Allowance::Shared(bytes);
    }
    let (mut job, mut plan) = prepare(&manifest, &budget, Platform::Local).map_err(invalid)?;
    // Before the first file is created.
    let signals = Signals::register();
    // Dropped after `out`: the lock is the mark of an incomplete output.
    let _locks = OutputLocks::new(&job.uid, output_folders(&job, settings.out.as_deref()));
    let out = settings.out.as_deref().map(|folder| Out::new(folder, &job)).transpose()?;
    if let Some(out) = &out {
        manifest.spec.outputs.extend(out.outputs(&job, &plan));
        (job, plan) = prepare(&manifest, &budget, Platform::Local).map_err(invalid)?;
    }
    check_writable(&job)?;
    budget::check_open_files(&job, &plan, chunkserver::limits::open_files())?;
    let mut local = LocalJob {
        manifest,
        budget,
        name: settings.name.clone(),
        processes: Processes::new(&plan)?,
        progress: Progress::new(settings.progress, settings.started),
        advertisement: Advertisement::new(&job.name, settings.serve),
        losses: Losses::default(),
    };
    print_plan(&local.progress, &job, &plan);
    let result = tokio::select! {
        result = execute(&mut local, &settings, out.as_ref(), check) => result,
        () = signals.received() => Err(Error::Interrupted),
    };
    local.progress.end();
    local.processes.end().await;
    if result.is_err() {
        let access = Access::new([], true);
        for output in &job.outputs {
            discard(&access, output, &job.uid).await;
        }
    }
    result
}

/// Computes, writes, checks and serves.
async fn execute(
    local: &mut LocalJob,
    settings: &Settings,
    out: Option<&Out>,
    check: impl FnOnce(&Outcome) -> Result<(), Error>,
) -> Result<(), Error> {
    let last = match local.manifest.spec.active_deadline_seconds {
        None => local.complete().await?,
        Some(seconds) => {
            let late = |_| deadline_exceeded(seconds);
            tokio::time::timeout(Duration::from_secs(seconds), local.complete()).await.map_err(late)??
        }
    };
    let report = report(&last);
    let outcome = Outcome { seconds: settings.started.elapsed().as_secs_f64(), job: last.job.clone(), plan: last.plan.clone(), report };
    if let Some(out) = out {
        let reader = Reader::new(&local.processes.url(&last, local.advertisement.url()).unwrap_or_default())?;
        // `keep` starts lost servers again while the pictures read from them.
        tokio::select! {
            finished = out.finish(&reader, &outcome) => finished?,
            failed = local.keep() => match failed? {},
        }
    }
    print_outcome(&local.progress, &outcome, out);
    check(&outcome)?;
    if settings.serve {
        let arrays: Vec<Readable> = outcome.plan.arrays(&outcome.job).iter().map(Readable::from).collect();
        match local.serve(&arrays).await? {}
    }
    Ok(())
}

fn deadline_exceeded(seconds: u64) -> Error {
    Error::Job(Failure {
        reason: reason::DEADLINE_EXCEEDED.into(),
        message: format!("the job is not complete after {seconds} s; raise activeDeadlineSeconds, or find the slow phase above"),
    })
}

/// The folders of all incomplete outputs. Creates the parent of DIR.
fn output_folders(job: &Job, out: Option<&Path>) -> BTreeSet<PathBuf> {
    let out = out.and_then(|folder| std::path::absolute(folder).ok());
    if let Some(parent) = out.as_deref().and_then(Path::parent) {
        // A failure is reported when DIR is created.
        let _ = std::fs::create_dir_all(parent);
    }
    let paths = job.outputs.iter().filter_map(local_path).chain(out);
    paths.filter_map(|path| path.parent().map(Path::to_owned)).collect()
}

/// The path of an output on this machine; `None` for an object store.
fn local_path(output: &Output) -> Option<PathBuf> {
    let url = url::Url::parse(&output.url).ok().filter(|url| url.scheme() == "file")?;
    url.to_file_path().ok()
}

/// Checks before the start that the folder of every output file is writable.
fn check_writable(job: &Job) -> Result<(), Error> {
    for output in &job.outputs {
        // Object stores report their own errors when the servers write.
        let Some(path) = local_path(output) else { continue };
        let folder = path.parent().unwrap_or(&path);
        tempfile::tempfile_in(folder).map_err(|source| Error::Write { path: path.clone(), source })?;
        if path.is_dir() && !output.is_zarr() {
            return Err(Error::Write { path, source: std::io::Error::from(std::io::ErrorKind::IsADirectory) });
        }
    }
    Ok(())
}

fn print_plan(progress: &Progress, job: &Job, plan: &Plan) {
    progress.sentence(&format!(
        "{}: {} frames of {}, {} server{}{}",
        job.name,
        plan.partition.frames,
        plan.partition.frame,
        plan.partition.servers,
        if plan.partition.servers == 1 { "" } else { "s" },
        match plan.storage {
            Placement::Memory => "",
            Placement::TilesOnDisk => ", tiles on scratch disk because memory is too small",
            Placement::Disk => ", arrays on scratch disk because memory is too small",
        }
    ));
    progress.object(&json!({"plan": {
        "servers": plan.partition.servers, "storage": plan.storage.to_string(), "overlap": plan.overlap, "window": plan.bands_in_flight, "peak_bytes": plan.peak_bytes(),
    }}));
}

fn print_outcome(progress: &Progress, outcome: &Outcome, out: Option<&Out>) {
    let frames = |frames: &[usize], what: &str| match *frames {
        [] => String::new(),
        [first, ..] => format!("; {} {what}, the first is {first}", frames.len()),
    };
    let blank = frames(&outcome.report.frames_blank, "blank frames");
    let uncentered = frames(&outcome.report.frames_without_centroid, "frames without a centroid");
    let results = out.map_or_else(String::new, |out| format!("; results in {}", out.folder().display()));
    progress.sentence(&format!("done in {:.2} s{blank}{uncentered}{results}", outcome.seconds));
    progress.object(&json!({"summary": outcome.summary()}));
}
