//! The manifest of a command: read from a file, and completed with the values that a cluster would add.

use crate::error::Error;
use crate::probe;
use crds::ArrayJob;
use crds::v1alpha1 as crd;
use operator::validate::{self, Platform};
use std::path::Path;

/// Reads a manifest; `-` is standard input. A URL template without a scheme becomes a `file://` URL beside the manifest.
///
/// # Errors
/// The file is not readable, or is not an ArrayJob.
pub(crate) fn read(path: &Path) -> Result<ArrayJob, Error> {
    let read = if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = read.map_err(|source| Error::ReadManifest { path: path.to_owned(), source })?;
    let mut job = operator::manifest::parse(&text).map_err(|source| Error::Manifest { path: path.to_owned(), source })?;
    // A cluster's status describes the source as seen from the cluster, not from this machine.
    job.status = None;
    let source = &mut job.spec.source;
    let templates = source
        .images
        .iter_mut()
        .map(|images| &mut images.url_template)
        .chain(source.volume.iter_mut().map(|volume| &mut volume.url_template))
        .chain(source.zarr.iter_mut().map(|zarr| &mut zarr.url));
    templates.into_iter().try_for_each(|template| make_absolute(path, template))?;
    Ok(job)
}

/// Sets the number of servers, if the command line states one.
pub(crate) fn set_servers(manifest: &mut ArrayJob, servers: Option<u32>) {
    if let Some(servers) = servers {
        manifest.spec.servers.get_or_insert_default().replicas = Some(crd::Replicas::Count(servers));
    }
}

/// Adds what a cluster would add: a uid; and the shape and number of frames, from the first frame or from the metadata of the
/// array. `name` is the manifest's name in error messages.
///
/// # Errors
/// The source is invalid, or the first frame or the metadata are not readable.
pub(crate) async fn complete(name: &Path, manifest: &mut ArrayJob) -> Result<(), Error> {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    manifest.metadata.uid = Some(format!("{:x}{nanos:x}", std::process::id()));
    let invalid = |source: validate::Invalid| Error::Invalid { path: name.to_owned(), source: source.into() };
    let (source, frames) = validate::source(manifest, Platform::Local).map_err(invalid)?;
    if validate::needs_probe(manifest) {
        let probed = probe::look(&source, frames).await?;
        validate::set_probed(manifest, &probed);
    }
    Ok(())
}

/// A URL template without a scheme is a path relative to the manifest's folder, as in `frames/{index:05}.png`.
fn make_absolute(manifest: &Path, template: &mut String) -> Result<(), Error> {
    if template.contains("://") || template.is_empty() {
        return Ok(());
    }
    let folder = manifest.parent().filter(|_| manifest != Path::new("-")).unwrap_or(Path::new(""));
    let failed = |source| Error::ReadManifest { path: manifest.to_owned(), source };
    let folder = if folder.as_os_str().is_empty() { std::env::current_dir() } else { std::path::absolute(folder) }.map_err(failed)?;
    // Only the folder is escaped: the braces and percent signs of the template keep their meaning.
    let folder = folder.to_string_lossy();
    let escaped = folder.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        other => format!("%{other:02X}"),
    });
    let escaped: String = escaped.collect();
    // `?` and `#` belong to the name of a file; in a URL they would start a query or a fragment.
    let template_path = template.replace('?', "%3F").replace('#', "%23");
    *template = if template.starts_with('/') { format!("file://{template_path}") } else { format!("file://{escaped}/{template_path}") };
    Ok(())
}

/// Parses `SELECTION=PATH` of `--save` into an output of the manifest.
///
/// # Errors
/// The text has no `=`, or PATH does not resolve to an absolute path.
pub(crate) fn saved_output(text: &str) -> Result<crd::Output, Error> {
    let wrong = |rule: &str| Error::Save { text: text.to_owned(), rule: rule.to_owned() };
    let (select, path) = text
        .split_once('=')
        .filter(|(select, path)| !select.is_empty() && !path.is_empty())
        .ok_or_else(|| wrong("write SELECTION=PATH, as in 'power[:,500,500]=p.npy'"))?;
    let url = if path.contains("://") {
        path.to_owned()
    } else {
        let path = std::path::absolute(path).map_err(|error| wrong(&error.to_string()))?;
        url::Url::from_file_path(&path).map_err(|()| wrong("the path has no absolute form"))?.into()
    };
    Ok(crd::Output { select: select.to_owned(), url, ..crd::Output::default() })
}
