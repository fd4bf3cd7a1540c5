//! `arrayjob run`: chunk servers as processes on this machine, driven by the same loop as pods.

use crate::args::{ProgressKind, Run};
use crate::error::Error;
use crate::local::{Local, Sign};
use crate::out::Out;
use crate::outcome::Outcome;
use crate::paste::Readable;
use crate::progress::Progress;
use crate::reader::Reader;
use crate::{budget, probe};
use api::job::{Job, Storage};
use api::phase::{Failure, reason};
use api::plan::Allowance;
use chunkserver::objects::Access;
use chunkserver::worker::discard;
use crds::ArrayJob;
use crds::v1alpha1 as crd;
use operator::fleet::Fleet as _;
use operator::report::report;
use operator::turn::prepare;
use operator::validate::Place;
use operator::{manifest, validate};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a run is given beyond its manifest.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Arrays, pictures and a summary go here.
    pub out: Option<PathBuf>,
    /// Bytes that all servers together may take; none for what the machine has.
    pub memory: Option<u64>,
    /// Whether to go on serving.
    pub serve: bool,
    /// How progress is told.
    pub progress: ProgressKind,
    /// When the process started.
    pub started: Instant,
}

/// Runs a manifest file.
///
/// # Errors
/// When the manifest is wrong, does not fit, or the job fails.
pub async fn run(ask: Run, started: Instant) -> Result<Outcome, Error> {
    let mut manifest = read_manifest(&ask.file)?;
    if let Some(servers) = ask.servers {
        manifest.spec.servers.get_or_insert_default().replicas = Some(crd::Replicas::Count(servers));
    }
    for save in &ask.save {
        manifest.spec.outputs.push(saved(save)?);
    }
    let memory = ask.memory.as_deref().map(budget::parse).transpose()?;
    let settings = Settings { out: ask.out, memory, serve: ask.serve, progress: ask.progress, started };
    run_manifest(&ask.file, manifest, settings, |_| Ok(())).await
}

/// Runs a manifest; `name` is what errors call it. What came out is shown to `check` before it is served.
///
/// # Errors
/// As [`run`], and those of `check`.
pub async fn run_manifest(
    name: &Path,
    mut manifest: ArrayJob,
    settings: Settings,
    check: impl FnOnce(&Outcome) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let invalid = |source: operator::turn::Error| Error::Invalid { path: name.to_owned(), source };
    fill_in(name, &mut manifest).await?;
    let mut budget = budget::here();
    if let Some(bytes) = settings.memory {
        budget.memory = Allowance::Shared(bytes);
    }
    let (mut job, mut plan) = prepare(&manifest, &budget, Place::Machine).map_err(invalid)?;
    let out = settings.out.as_deref().map(|folder| Out::new(folder, &job)).transpose()?;
    if let Some(out) = &out {
        manifest.spec.outputs.extend(out.arrays(&job, &plan));
        (job, plan) = prepare(&manifest, &budget, Place::Machine).map_err(invalid)?;
    }
    writable(&job)?;
    let local = Local::start(&plan)?;
    let mut progress = Progress::new(settings.progress, settings.started);
    progress.say(&format!(
        "{}: {} frames of {}, {} server{}{}",
        job.name,
        plan.partition.frames,
        plan.partition.frame,
        plan.partition.servers,
        if plan.partition.servers == 1 { "" } else { "s" },
        if plan.storage == Storage::Disk { ", arrays on scratch disk for lack of memory" } else { "" }
    ));
    progress.object(&json!({"plan": {
        "servers": plan.partition.servers, "storage": plan.storage.to_string(), "overlap": plan.overlap, "window": plan.bands_in_flight, "peak_bytes": plan.peak_bytes(),
    }}));
    let deadline = manifest.spec.active_deadline_seconds;
    let mut sign = Sign::new(&job.name, settings.serve);
    let work = async {
        let drive = local.drive(&manifest, &budget, &mut progress, name, &mut sign);
        let last = match deadline {
            None => drive.await?,
            Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), drive).await.map_err(|_| late(seconds))??,
        };
        let report = report(&last);
        let outcome = Outcome { seconds: settings.started.elapsed().as_secs_f64(), job: last.job.clone(), plan: last.plan.clone(), report };
        let url = local.url(&last).unwrap_or_default();
        if let Some(out) = &out {
            let reader = Reader::new(&url)?;
            // A server that is lost while pictures are made is started again meanwhile.
            tokio::select! {
                finished = out.finish(&reader, &outcome) => finished?,
                failed = local.keep(&manifest, &budget, &mut progress, name, |_, _| Ok(())) => return failed.map(|()| outcome),
            }
        }
        tell(&progress, &outcome, out.as_ref());
        check(&outcome)?;
        if settings.serve {
            let arrays: Vec<Readable> = outcome.plan.arrays(&outcome.job).iter().map(Readable::from).collect();
            local.serve(&manifest, &budget, &mut progress, name, &mut sign, &arrays).await?;
        }
        Ok(outcome)
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = interrupted() => Err(Error::Interrupted),
    };
    progress.end();
    local.fleet.remove().await;
    if outcome.is_err() {
        let access = Access::new([], true);
        for output in &job.outputs {
            discard(&access, output, &job.uid).await;
        }
    }
    outcome
}

fn late(seconds: u64) -> Error {
    Error::Job(Failure {
        reason: reason::DEADLINE_EXCEEDED.into(),
        message: format!("not done after {seconds} s; raise activeDeadlineSeconds, or see what is slow above"),
    })
}

/// Reads a manifest; `-` is standard input.
///
/// # Errors
/// When it cannot be read, or is no ArrayJob.
pub fn read_manifest(path: &Path) -> Result<ArrayJob, Error> {
    let read = if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = read.map_err(|source| Error::ReadManifest { path: path.to_owned(), source })?;
    let mut job = manifest::parse(&text).map_err(|source| Error::Manifest { path: path.to_owned(), source })?;
    // What a cluster has found is not what is found from here.
    job.status = None;
    let source = &mut job.spec.source;
    let templates = source
        .images
        .iter_mut()
        .map(|images| &mut images.url_template)
        .chain(source.volume.iter_mut().map(|volume| &mut volume.url_template))
        .chain(source.zarr.iter_mut().map(|zarr| &mut zarr.url));
    templates.into_iter().try_for_each(|template| beside(path, template))?;
    Ok(job)
}

/// Gives the manifest what a cluster would: a uid; and what the first frame or the array's metadata say.
///
/// # Errors
/// When the source is wrong, or these cannot be had.
pub async fn fill_in(name: &Path, manifest: &mut ArrayJob) -> Result<(), Error> {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    manifest.metadata.uid = Some(format!("{:x}{nanos:x}", std::process::id()));
    let invalid = |source: validate::Invalid| Error::Invalid { path: name.to_owned(), source: source.into() };
    let (source, frames) = validate::source(manifest, Place::Machine).map_err(invalid)?;
    if validate::needs_probe(manifest) {
        let probed = probe::look(&source, frames).await?;
        validate::set_probed(manifest, &probed);
    }
    Ok(())
}

/// A URL template without a scheme is a path beside the manifest: `frames/{index:05}.png`.
fn beside(manifest: &Path, template: &mut String) -> Result<(), Error> {
    if template.contains("://") || template.is_empty() {
        return Ok(());
    }
    let folder = manifest.parent().filter(|_| manifest != Path::new("-")).unwrap_or(Path::new(""));
    let failed = |source| Error::ReadManifest { path: manifest.to_owned(), source };
    let folder = if folder.as_os_str().is_empty() { std::env::current_dir() } else { std::path::absolute(folder) }.map_err(failed)?;
    // Only the folder is escaped: what stands in the template is meant as written, its braces above all.
    let folder = folder.to_string_lossy();
    let escaped = folder.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        other => format!("%{other:02X}"),
    });
    let escaped: String = escaped.collect();
    // What would begin a query or a fragment of a URL is part of a file's name here.
    let template_path = template.replace('?', "%3F").replace('#', "%23");
    *template = if template.starts_with('/') { format!("file://{template_path}") } else { format!("file://{escaped}/{template_path}") };
    Ok(())
}

/// `SELECTION=PATH` as an output of the manifest.
fn saved(text: &str) -> Result<crd::Output, Error> {
    let wrong = |rule: &str| Error::Save { text: text.to_owned(), rule: rule.to_owned() };
    let (select, path) = text
        .split_once('=')
        .filter(|(select, path)| !select.is_empty() && !path.is_empty())
        .ok_or_else(|| wrong("write SELECTION=PATH, as in 'power[:,500,500]=p.npy'"))?;
    if path.contains("://") {
        return Ok(crd::Output { select: select.to_owned(), url: path.to_owned(), ..crd::Output::default() });
    }
    let path = std::path::absolute(path).map_err(|error| wrong(&error.to_string()))?;
    let url = url::Url::from_file_path(&path).map_err(|()| wrong("the path cannot be made absolute"))?;
    Ok(crd::Output { select: select.to_owned(), url: url.into(), ..crd::Output::default() })
}

/// Whether every output's folder takes a file, asked before anything is started.
fn writable(job: &Job) -> Result<(), Error> {
    for output in &job.outputs {
        let url = url::Url::parse(&output.url).ok().filter(|url| url.scheme() == "file");
        // What is elsewhere says by itself whether it can be written.
        let Some(path) = url.and_then(|url| url.to_file_path().ok()) else { continue };
        let folder = path.parent().unwrap_or(&path);
        tempfile::tempfile_in(folder).map_err(|source| Error::Write { path: path.clone(), source })?;
        if path.is_dir() && !output.is_zarr() {
            return Err(Error::Write { path, source: std::io::Error::from(std::io::ErrorKind::IsADirectory) });
        }
    }
    Ok(())
}

/// Ctrl-C, or a polite request to end.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut ends = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        if let Ok(mut signal) = signal(kind) {
            ends.push(Box::pin(async move { signal.recv().await }));
        }
    }
    if ends.is_empty() {
        std::future::pending::<()>().await;
    }
    // Waits for the first of them.
    let mut ends = ends.into_iter();
    match (ends.next(), ends.next(), ends.next()) {
        (Some(a), Some(b), Some(c)) => drop(tokio::select! { x = a => x, x = b => x, x = c => x }),
        (Some(a), ..) => drop(a.await),
        _ => {}
    }
}

fn tell(progress: &Progress, outcome: &Outcome, out: Option<&Out>) {
    let blank = match outcome.report.frames_blank.len() {
        0 => String::new(),
        count => format!("; {count} frames are blank, the first is {}", outcome.report.frames_blank[0]),
    };
    let results = out.map_or_else(String::new, |out| format!("; results in {}", out.folder().display()));
    progress.say(&format!("done in {:.2} s{blank}{results}", outcome.seconds));
    progress.object(&json!({"summary": outcome.summary()}));
}
