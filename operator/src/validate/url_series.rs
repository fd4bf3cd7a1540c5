//! Rules of frames behind URLs: `source.images` and `source.volume`.

use super::{Invalid, Platform, invalid};
use api::job::{self, MAX_FRAMES};
use api::template::Template;
use crds::v1alpha1 as crd;

/// The fields that images and volumes have in common.
pub(super) struct UrlSeries<'a> {
    /// Path of the fields in the manifest.
    path: &'static str,
    template: &'a str,
    count: u64,
    start: Option<i64>,
    step: Option<i64>,
    /// Frames of one response; 1 for images.
    depth: u64,
    color: Option<crd::Color>,
}

impl<'a> From<&'a crd::Images> for UrlSeries<'a> {
    fn from(images: &'a crd::Images) -> Self {
        let crd::Images { url_template, count, start, step, color } = images;
        Self { path: "spec.source.images", template: url_template, count: *count, start: *start, step: *step, depth: 1, color: *color }
    }
}

impl<'a> From<&'a crd::Volume> for UrlSeries<'a> {
    fn from(volume: &'a crd::Volume) -> Self {
        let crd::Volume { url_template, count, start, step, depth } = volume;
        Self { path: "spec.source.volume", template: url_template, count: *count, start: *start, step: *step, depth: *depth, color: None }
    }
}

/// The source and its number of frames.
pub(super) fn source(series: &UrlSeries<'_>, min_bytes_per_second: u64, platform: Platform) -> Result<(job::Source, usize), Invalid> {
    let &UrlSeries { path, template, count, start, step, depth, color } = series;
    let field = |name: &str| format!("{path}.{name}");
    if count == 0 || count > MAX_FRAMES {
        return Err(invalid(&field("count"), format!("must be from 1 to {MAX_FRAMES}; found {count}")));
    }
    if depth == 0 || depth > count {
        return Err(invalid(&field("depth"), format!("must be from 1 to count ({count}); found {depth}")));
    }
    let parsed = Template::parse(template).map_err(|error| invalid(&field("urlTemplate"), error.to_string()))?;
    if !parsed.has_index() && count > depth {
        return Err(invalid(&field("urlTemplate"), "must contain {index}; otherwise all frames have the same URL"));
    }
    if path.ends_with("images") && parsed.has_depth() {
        return Err(invalid(&field("urlTemplate"), "{depth} is only valid in source.volume, which has many frames in one response"));
    }
    let (start, step) = (start.unwrap_or(0), step.unwrap_or(1));
    let last = i128::from(start) + i128::from(count) * i128::from(step);
    if step == 0 || i64::try_from(last).is_err() {
        return Err(invalid(&field("step"), "must not be 0, and start + count × step must be a 64-bit number"));
    }
    let first = parsed.url(start, depth as usize);
    let scheme = url::Url::parse(&first).map_err(|error| invalid(&field("urlTemplate"), format!("{first} is not a URL: {error}")))?;
    if !["http", "https", "file"].contains(&scheme.scheme()) {
        return Err(invalid(&field("urlTemplate"), format!("the scheme must be http, https or file; found {}", scheme.scheme())));
    }
    if scheme.scheme() == "file" && platform == Platform::Cluster {
        return Err(invalid(&field("urlTemplate"), "servers on a cluster cannot read file://; use http:// or https://"));
    }
    let color = match color.unwrap_or_default() {
        crd::Color::Refuse => job::Color::Refuse,
        crd::Color::Luminance => job::Color::Luminance,
    };
    let (url_template, depth, headers) = (template.to_owned(), depth as usize, Vec::new());
    let images = job::Images { url_template, start, step, depth, color, headers, min_bytes_per_second };
    Ok((job::Source::Images(images), count as usize))
}
