//! `arrayjob open`: a job of the cluster at a URL of this machine, for as long as one looks at it.

use super::door;
use super::place::connect;
use crate::args::Open;
use crate::error::Error;
use crate::paste::{Paste, Status};
use crate::progress::line;
use crate::reader::Reader;
use crate::registry;
use crate::run::interrupted;
use api::wire::route;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use url::Url;

/// How long the job is asked what it has; the URL is of use without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens it, and holds it open.
///
/// # Errors
/// When the job is not there or has nothing to read yet, or the port is taken.
pub async fn open(ask: Open) -> Result<(), Error> {
    let cluster = connect(&ask.place).await?;
    let door = door::through(&cluster, &ask.job, ask.port).await?;
    let url = &door.url;
    writeln!(std::io::stdout(), "{url}").map_err(|source| Error::Write { path: "standard output".into(), source })?;
    let paste = paste(url, &ask.job).await;
    let lines = paste.map_or_else(|| format!("  curl '{}'\n", url.replace("/?", "/api/v1/status?")), |paste| paste.to_string());
    line(format!("ArrayJob {} of namespace {}; Ctrl-C closes it\n{lines}", ask.job, cluster.namespace).trim_end());
    let page = if ask.browser { browse(url) } else { None };
    interrupted().await;
    drop(page);
    Ok(())
}

/// Lines for the arrays that there are; none while no server can say which.
async fn paste(url: &str, job: &str) -> Option<Paste> {
    let reader = Reader::new(url).ok()?;
    let status = tokio::time::timeout(PATIENCE, reader.ask(route::STATUS, &[])).await.ok()?.ok()?;
    let status: Status = serde_json::from_slice(&status).ok()?;
    Paste::new(url, job, url, &status.arrays)
}

/// Opens the browser at a page that leads on to the URL: what a program is started with, every user of the machine can see.
fn browse(url: &str) -> Option<tempfile::NamedTempFile> {
    let page =
        registry::page(&format!("<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">ArrayJob</a>"));
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = page.ok().and_then(|page| {
        let address = Url::from_file_path(page.path()).ok()?;
        let mut command = std::process::Command::new(opener);
        command.arg(address.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().map(|_| page)
    });
    if started.is_none() {
        line(&format!("there is no {opener} to open a browser with: open the URL above"));
    }
    started
}
