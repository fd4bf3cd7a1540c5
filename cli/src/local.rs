//! The fleet of this machine, and the loop that turns over it.

use crate::error::Error;
use crate::paste::{Paste, Readable};
use crate::progress::Progress;
use crate::registry::{self, Entry};
use api::geometry::human_bytes;
use api::job::Storage;
use api::next_step::Step;
use api::phase::Seen;
use api::plan::Plan;
use crds::ArrayJob;
use operator::fleet::process::{Options, ProcessFleet};
use operator::report::report;
use operator::servers::Servers;
use operator::turn::{Aim, Turn, prepare, turn};
use operator::validate::Place;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// How often progress is told when nothing else happens.
const TICK: Duration = Duration::from_millis(150);

/// The fleet of this machine, and what speaks to it.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) fleet: ProcessFleet,
    servers: Servers,
    key: String,
    /// Scratch files live here; it goes with this.
    _scratch: Option<tempfile::TempDir>,
}

impl Local {
    pub(crate) fn start(plan: &Plan) -> Result<Self, Error> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Start(error);
        transport::crypto::install_crypto();
        let program = std::env::current_exe().map_err(|error| failed(error.into()))?;
        let scratch = (plan.storage == Storage::Disk)
            .then(|| tempfile::Builder::new().prefix("arrayjob-scratch-").tempdir())
            .transpose()
            .map_err(|error| failed(error.into()))?;
        if let Some(folder) = &scratch {
            enough_disk(plan, folder.path())?;
        }
        let key = new_key().map_err(|error| failed(error.into()))?;
        let command = vec![program, "chunk-server".into()];
        let fleet = ProcessFleet::new(Options {
            command,
            key: key.clone(),
            threads: plan.threads,
            scratch: scratch.as_ref().map(|folder| folder.path().to_owned()),
        });
        let servers = Servers::new(key.clone()).map_err(|error| failed(error.into()))?;
        Ok(Self { fleet, servers, key, _scratch: scratch })
    }

    /// Turns until the job has ended well.
    pub(crate) async fn drive(
        &self,
        manifest: &ArrayJob,
        budget: &api::Budget,
        progress: &mut Progress,
        name: &Path,
        sign: &mut Sign,
    ) -> Result<Turn, Error> {
        // A step that has to be repeated waits for news like any other: the server is not there yet.
        let mut before = None;
        loop {
            let turn = self.turn(manifest, budget, progress, name, false).await?;
            if let Some(url) = self.url(&turn)
                && sign.move_to(&url)?
            {
                progress.watch(&url, sign.public);
            }
            match turn.ended() {
                Some(Ok(())) => return Ok(turn),
                Some(Err(failure)) => return Err(Error::Job(failure.clone())),
                None if turn.step == Step::Wait || before.as_ref() == Some(&turn.step) => {
                    self.servers.until_news(&turn.observed, TICK).await;
                }
                None => {}
            }
            before = Some(turn.step);
        }
    }

    async fn turn(
        &self,
        manifest: &ArrayJob,
        budget: &api::Budget,
        progress: &mut Progress,
        name: &Path,
        written: bool,
    ) -> Result<Turn, Error> {
        let prepared = prepare(manifest, budget, Place::Machine);
        let (job, plan) = prepared.map_err(|source| Error::Invalid { path: name.to_owned(), source })?;
        let turn = turn(job, plan, &self.fleet, &self.servers, if written { Aim::Serve } else { Aim::Finish }).await;
        for (index, seen) in turn.observed.servers.iter().enumerate() {
            if let Seen::Exited(why) = seen {
                progress.say(&format!("server {index} ended ({why}); starting it again, the others keep what they have"));
            }
        }
        let told = report(&turn);
        progress.update(&told.phases);
        progress.update(told.writing.as_slice());
        Ok(turn)
    }

    /// Keeps results readable, and the loop turning so that a lost server comes back, until it is interrupted.
    pub(crate) async fn serve(
        &self,
        manifest: &ArrayJob,
        budget: &api::Budget,
        progress: &mut Progress,
        name: &Path,
        sign: &mut Sign,
        arrays: &[Readable],
    ) -> Result<(), Error> {
        let job = sign.job.clone();
        let say = |progress: &Progress, url: &str| {
            let paste = Paste::new(url, &job, &job, arrays);
            let lines = paste.as_ref().map_or_else(String::new, ToString::to_string);
            progress.say(&format!("serving at {url}\n{lines}Ctrl-C ends it"));
            progress.object(&json!({"url": url, "paste": paste.map(|paste| paste.json())}));
        };
        say(progress, &sign.url);
        self.keep(manifest, budget, progress, name, |turn, progress| {
            if let Some(url) = self.url(turn)
                && sign.move_to(&url)?
            {
                say(progress, &url);
            }
            Ok(())
        })
        .await
    }

    /// Keeps the loop turning once all is written, so that a lost server comes back; ends only with an error.
    pub(crate) async fn keep(
        &self,
        manifest: &ArrayJob,
        budget: &api::Budget,
        progress: &mut Progress,
        name: &Path,
        mut look: impl FnMut(&Turn, &Progress) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let turn = self.turn(manifest, budget, progress, name, true).await?;
            if let Some(Err(failure)) = turn.ended() {
                return Err(Error::Job(failure.clone()));
            }
            look(&turn, progress)?;
            self.servers.until_news(&turn.observed, Duration::from_secs(1)).await;
        }
    }

    /// The front door: any server that is up.
    pub(crate) fn url(&self, turn: &Turn) -> Option<String> {
        turn.observed.servers.iter().find_map(|seen| match seen {
            Seen::Up { address, .. } => Some(format!("http://{address}/?{}={}", api::wire::TOKEN, self.key)),
            _ => None,
        })
    }
}

/// Where people find the job: the front door moves when its server is lost and comes back elsewhere.
#[derive(Debug)]
pub(crate) struct Sign {
    job: String,
    /// Whether others find it by the job's name.
    public: bool,
    entry: Option<Entry>,
    url: String,
}

impl Sign {
    pub(crate) fn new(job: &str, public: bool) -> Self {
        Self { job: job.to_owned(), public, entry: None, url: String::new() }
    }

    /// Where it is now; true when that is news.
    fn move_to(&mut self, url: &str) -> Result<bool, Error> {
        if self.url == url {
            return Ok(false);
        }
        url.clone_into(&mut self.url);
        match &mut self.entry {
            Some(entry) => entry.move_to(url)?,
            None if self.public => self.entry = Some(registry::enter(&self.job, url)?),
            None => {}
        }
        Ok(true)
    }
}

/// Whether the scratch folder's disk takes what the plan puts there.
fn enough_disk(plan: &Plan, folder: &Path) -> Result<(), Error> {
    let needed: u64 = plan.memory.iter().map(api::plan::Memory::disk).sum();
    let Ok(disk) = nix::sys::statvfs::statvfs(folder) else { return Ok(()) };
    // The types differ between systems.
    let [blocks, size]: [u64; 2] = [disk.blocks_available() as _, disk.fragment_size() as _];
    let free = blocks * size;
    if free > needed {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "DiskFull: needs {} of scratch disk, {} has {}; set TMPDIR to a larger disk, or keep less",
        human_bytes(needed),
        folder.display(),
        human_bytes(free)
    )))
}

/// 128 bits from the system.
fn new_key() -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
