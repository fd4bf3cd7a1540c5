//! `arrayjob report`: the page of a job as one HTML file, or a cluster's data about a job as one zip file.

use crate::args::Report;
use crate::cluster::target::{Target, target_of};
use crate::cluster::{self, is_plugin};
use crate::console::print;
use crate::error::Error;
use crate::files::write;
use crate::registry;
use std::path::{Path, PathBuf};

/// The two kinds of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The page, as HTML.
    Page,
    /// The cluster's data, as zip.
    Archive,
}

/// Writes the report.
///
/// # Errors
/// The job is missing, no server responds, or the file is not writable.
pub async fn report(args: Report) -> Result<(), Error> {
    let target = target_of(&args.job, is_plugin(), &args.cluster, |name| registry::find(name).ok());
    match kind(args.output.as_deref(), matches!(target, Target::Url(_)))? {
        Kind::Archive => cluster::report(args).await,
        Kind::Page => page(args).await,
    }
}

/// The kind by the file's extension. Without a file: the page of a job on this machine, the archive of an ArrayJob.
fn kind(output: Option<&Path>, served_here: bool) -> Result<Kind, Error> {
    let extension = output.map(|path| path.extension().and_then(|extension| extension.to_str()).unwrap_or_default());
    match (extension, served_here) {
        (Some("html" | "htm"), _) | (None, true) => Ok(Kind::Page),
        (Some("zip"), false) | (None, false) => Ok(Kind::Archive),
        (Some("zip"), true) => {
            Err(Error::Refused("a .zip report needs an ArrayJob of a cluster; for a job on this machine use -o FILE.html".into()))
        }
        (Some(_), _) => {
            Err(Error::Refused("-o takes FILE.html for the job's page, or FILE.zip for the data of a cluster about the job".into()))
        }
    }
}

async fn page(args: Report) -> Result<(), Error> {
    let connection = cluster::find(&args.job, &args.cluster).await?;
    let page = connection.reader()?.report().await?;
    let name = if args.job.contains("://") { "report" } else { &args.job };
    let path = args.output.unwrap_or_else(|| PathBuf::from(format!("arrayjob-{name}.html")));
    write(&path, &page)?;
    print(format!("{}\n", path.display()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_selects_the_kind() {
        let of = |output: Option<&str>, served| kind(output.map(Path::new), served).ok();
        assert_eq!(of(None, true), Some(Kind::Page));
        assert_eq!(of(None, false), Some(Kind::Archive));
        assert_eq!(of(Some("a.html"), false), Some(Kind::Page));
        assert_eq!(of(Some("a.zip"), false), Some(Kind::Archive));
        assert_eq!(of(Some("a.zip"), true), None);
        assert_eq!(of(Some("a.pdf"), false), None);
        assert_eq!(of(Some("a"), true), None);
    }
}
