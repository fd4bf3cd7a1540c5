//! `arrayjob open`: a job of the cluster at a URL of this machine, for as long as one looks at it.

use super::door;
use super::place::connect;
use crate::args::Open;
use crate::error::Error;
use crate::progress::line;
use crate::registry;
use crate::run::interrupted;
use std::io::Write as _;
use std::process::Stdio;
use url::Url;

/// Opens it, and holds it open.
///
/// # Errors
/// When the job is not there or has nothing to read yet, or the port is taken.
pub async fn open(ask: Open) -> Result<(), Error> {
    let cluster = connect(&ask.place).await?;
    let door = door::through(&cluster, &ask.job, ask.port).await?;
    let url = &door.url;
    writeln!(std::io::stdout(), "{url}").map_err(|source| Error::Write { path: "standard output".into(), source })?;
    line(&format!(
        "ArrayJob {} of namespace {}; Ctrl-C closes it\n  curl '{}'\n  arrayjob get '{url}' 'power[:,10,10]' -o p.npy",
        ask.job,
        cluster.namespace,
        url.replace("/?", "/api/v1/status?")
    ));
    let page = if ask.browser { browse(url) } else { None };
    interrupted().await;
    drop(page);
    Ok(())
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
