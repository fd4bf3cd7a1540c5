//! `arrayjob report`: the page of a job as one file, or all that a cluster knows of it.

use crate::args::Report;
use crate::cluster::door;
use crate::cluster::place::{Choice, choose, is_plugin};
use crate::error::Error;
use crate::get::write;
use crate::registry;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Which of the two is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Page,
    Pack,
}

/// Makes it.
///
/// # Errors
/// When there is no such job, no server of it answers, or the file cannot be written.
pub async fn report(ask: Report) -> Result<(), Error> {
    let served = matches!(choose(&ask.job, is_plugin(), &ask.place, |name| registry::find(name).ok()), Choice::Url(_));
    match kind(ask.output.as_deref(), served)? {
        Kind::Pack => crate::cluster::report(ask).await,
        Kind::Page => page(ask).await,
    }
}

/// The file's name says it; without one, what is served here has its page, and a cluster tells more.
fn kind(output: Option<&Path>, served: bool) -> Result<Kind, Error> {
    let extension = output.map(|path| path.extension().and_then(|extension| extension.to_str()).unwrap_or_default());
    match (extension, served) {
        (Some("html" | "htm"), _) | (None, true) => Ok(Kind::Page),
        (Some("zip"), false) | (None, false) => Ok(Kind::Pack),
        (Some("zip"), true) => Err(Error::Refused("a .zip tells what a cluster knows of a job; here there is its page, as .html".into())),
        (Some(_), _) => Err(Error::Refused("name a file.html for the job's page, or a file.zip for all that a cluster knows of it".into())),
    }
}

async fn page(ask: Report) -> Result<(), Error> {
    let door = door::find(&ask.job, &ask.place).await?;
    let page = door.reader()?.report().await?;
    let name = if ask.job.contains("://") { "report" } else { &ask.job };
    let path = ask.output.unwrap_or_else(|| PathBuf::from(format!("arrayjob-{name}.html")));
    write(&path, &page)?;
    writeln!(std::io::stdout(), "{}", path.display()).map_err(|source| Error::Write { path: "standard output".into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_name_says_what_is_in_it() {
        let of = |output: Option<&str>, served| kind(output.map(Path::new), served).ok();
        assert_eq!(of(None, true), Some(Kind::Page));
        assert_eq!(of(None, false), Some(Kind::Pack));
        assert_eq!(of(Some("a.html"), false), Some(Kind::Page));
        assert_eq!(of(Some("a.zip"), false), Some(Kind::Pack));
        assert_eq!(of(Some("a.zip"), true), None);
        assert_eq!(of(Some("a.pdf"), false), None);
        assert_eq!(of(Some("a"), true), None);
    }
}
