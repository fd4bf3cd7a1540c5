//! `arrayjob open`: a job of the cluster at a URL of this machine, until a signal arrives.

use super::access::connect;
use super::array_job;
use crate::args::Open;
use crate::console::{message, print};
use crate::error::Error;
use crate::paste::{Paste, Status};
use crate::reader::Reader;
use crate::registry;
use crate::signals::interrupted;
use api::wire::route;
use std::process::Stdio;
use std::time::Duration;
use url::Url;

/// Timeout of the status for the lines to paste. The URL is useful without these lines.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a job, and keeps the URL valid.
///
/// # Errors
/// The job is missing or not readable yet, or the port is not free.
pub async fn open(args: Open) -> Result<(), Error> {
    let cluster = connect(&args.cluster).await?;
    let connection = array_job::forward(&cluster, &args.job, args.port).await?;
    let url = &connection.url;
    print(format!("{url}\n").as_bytes())?;
    let paste = paste(url, &args.job).await;
    let lines = paste.map_or_else(|| format!("  curl '{}'\n", url.replace("/?", "/api/v1/status?")), |paste| paste.to_string());
    message(format!("ArrayJob {} of namespace {}; press Ctrl-C to close\n{lines}", args.job, cluster.namespace).trim_end());
    let page = if args.browser { open_browser(url) } else { None };
    interrupted().await;
    drop(page);
    Ok(())
}

/// Lines to paste for the job's arrays; none if no server reports them in time.
async fn paste(url: &str, job: &str) -> Option<Paste> {
    let reader = Reader::new(url).ok()?;
    let status = tokio::time::timeout(STATUS_TIMEOUT, reader.get(route::STATUS, &[])).await.ok()?.ok()?;
    let status: Status = serde_json::from_slice(&status).ok()?;
    Paste::new(url, job, url, &status.arrays)
}

/// Opens a private page in the browser that redirects to the URL. All users of a machine can read the arguments of a process, so
/// the URL with its token is not an argument.
fn open_browser(url: &str) -> Option<tempfile::NamedTempFile> {
    let html = format!("<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">ArrayJob</a>");
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = registry::private_page(&html).ok().and_then(|page| {
        let address = Url::from_file_path(page.path()).ok()?;
        let mut command = std::process::Command::new(opener);
        command.arg(address.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().map(|_| page)
    });
    if started.is_none() {
        message(&format!("cannot start a browser with {opener}; open the URL above"));
    }
    started
}
