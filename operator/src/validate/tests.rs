use super::*;
use crate::manifest::parse;

fn manifest(spec: &str) -> ArrayJob {
    parse(&format!("apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\nmetadata: {{name: j}}\nspec: {{{spec}}}\n")).unwrap()
}

const IMAGES: &str = "source: {images: {urlTemplate: 'http://h/{index}', count: 100}, frame: {height: 60, width: 80, dtype: uint8}}";

/// The refusal of `IMAGES` plus `more`.
fn refusal(more: &str) -> String {
    validate(&manifest(&format!("{IMAGES}, {more}")), Platform::Local).unwrap_err().to_string()
}

#[test]
fn defaults_are_filled_in() {
    let job = validate(&manifest(IMAGES), Platform::Local).unwrap();
    assert_eq!((job.frames, job.slab_frames, job.concurrency, job.backoff_limit), (100, 20, 16, 3));
    assert!(job.recenter.is_none() && job.fft.is_none() && job.keep.is_none());
    let job = validate(
        &manifest(&format!("{IMAGES}, recenter: {{crop: [60, 31]}}, rechunk: {{chunks: [-1, 10, 99]}}, fft: {{}}, keep: [power, raw]")),
        Platform::Local,
    )
    .unwrap();
    assert_eq!(job.stack().width, 31);
    assert_eq!(job.recenter.unwrap().method, job::Method::Centroid);
    assert_eq!(job.rechunk, Some([100, 10, 31]));
    assert_eq!(job.keep, Some(vec![Kept::Raw, Kept::Spectrum]));
}

#[test]
fn each_broken_rule_names_its_field() {
    let cases = [
        ("recenter: {crop: [61, 10]}", "spec.recenter.crop: [61, 10] must be at least 1 and fit the frame, 60×80 uint8"),
        ("recenter: {crop: [0, 10]}", "spec.recenter.crop: [0, 10] must be at least 1"),
        ("recenter: {crop: [10]}", "spec.recenter.crop: must be [height, width]; found 1 numbers"),
        ("rechunk: {chunks: [0, 1, 1]}", "spec.rechunk.chunks: each value must be at least 1"),
        ("fft: {axis: 1}", "spec.fft.axis: must be 0"),
        ("load: {chunkFrames: 0}", "spec.load.chunkFrames: must be at least 1"),
        ("load: {concurrency: 0}", "spec.load.concurrency: must be from 1 to 1024"),
        ("keep: [recentered]", "spec.keep[0]: the job has no array 'recentered'; its arrays are raw"),
        ("fft: {output: amplitude}, keep: [power]", "its arrays are raw, rechunked, amplitude"),
        ("outputs: [{select: 'raw[', url: 'file:///a.npy'}]", "spec.outputs[0].select: 'raw['"),
        ("outputs: [{select: raw, url: 'file:///a.docx'}]", "spec.outputs[0].url: the extension selects the format"),
        ("outputs: [{select: raw, url: 'ftp://b/a.npy'}]", "spec.outputs[0].url: the scheme ftp: is not supported"),
        ("outputs: [{select: raw, url: 's3://b/a.npy', shards: [1, 1, 1]}]", "spec.outputs[0].shards: is only valid for a .zarr output"),
        (
            "outputs: [{select: raw, url: 's3://b/a.zarr'}, {select: raw, url: 's3://b/a.zarr/raw'}]",
            "spec.outputs[1].url: is the same as the URL of outputs[0], or one is within the other",
        ),
        ("outputs: [{select: raw, url: 'a.npy'}]", "spec.outputs[0].url: 'a.npy' is not a URL"),
    ];
    for (more, expected) in cases {
        let found = refusal(more);
        assert!(found.contains(expected), "{more}: {found}");
    }
}

#[test]
fn invalid_sources_are_refused() {
    let refusal = |source: &str| validate(&manifest(&format!("source: {source}")), Platform::Local).unwrap_err().to_string();
    let images = |fields: &str| refusal(&format!("{{images: {{{fields}}}, frame: {{height: 6, width: 8, dtype: uint8}}}}"));
    assert!(refusal("{}").contains("exactly one of"));
    assert!(images("urlTemplate: 'http://h/{index}', count: 0").starts_with("spec.source.images.count: must be from 1"));
    assert!(images("urlTemplate: 'http://h/', count: 2").contains("must contain {index}"));
    assert!(images("urlTemplate: 'ftp://h/{index}', count: 2").contains("http, https or file; found ftp"));
    assert!(images("urlTemplate: 'h/{index}', count: 2").contains("is not a URL"));
    assert!(images("urlTemplate: 'http://h/{index}', count: 2, step: 0").contains("spec.source.images.step"));
    assert!(images("urlTemplate: 'http://h/{index}', count: 2, start: 9223372036854775807").contains("64-bit"));
    let frame = |frame: &str| refusal(&format!("{{images: {{urlTemplate: 'http://h/{{index}}', count: 100000}}, frame: {{{frame}}}}}"));
    assert!(frame("height: 0, width: 1, dtype: uint8").contains("at least 1"));
    assert!(frame("height: 9223372036854775807, width: 9223372036854775807, dtype: float32").contains("too large"));
    assert!(frame("height: 65536, width: 65537, dtype: uint8").contains("too large"));
    let rate = refusal(
        "{images: {urlTemplate: 'http://h/{index}', count: 2}, frame: {height: 6, width: 8, dtype: uint8}, minBytesPerSecond: 1000000001}",
    );
    assert!(rate.starts_with("spec.source.minBytesPerSecond: must be from 0 to 1000000000"), "{rate}");
    let volume = "{volume: {urlTemplate: 'http://h/{depth}/{index}', count: 100, depth: 7}, frame: {height: 6, width: 8, dtype: uint8}}";
    let job = validate(&manifest(&format!("source: {volume}")), Platform::Local).unwrap();
    assert_eq!((job.slab_frames, job.source.depth()), (21, 7), "slabs hold whole responses");
    let error = validate(&manifest(&format!("source: {volume}, load: {{chunkFrames: 10}}")), Platform::Local).unwrap_err();
    assert!(error.to_string().contains("multiple of source.volume.depth (7)"));
}

#[test]
fn the_least_rate_reaches_every_kind_of_source() {
    let least = |source: &str| source_of(source).0.min_bytes_per_second();
    assert_eq!(least("images: {urlTemplate: 'http://h/{index}', count: 2}"), job::MIN_BYTES_PER_SECOND);
    assert_eq!(least("images: {urlTemplate: 'http://h/{index}', count: 2}, minBytesPerSecond: 0"), 0);
    assert_eq!(least("volume: {urlTemplate: 'http://h/{index}', count: 2, depth: 2}, minBytesPerSecond: 7"), 7);
    assert_eq!(least("zarr: {url: 's3://b/a'}, minBytesPerSecond: 9"), 9);
}

fn source_of(fields: &str) -> (job::Source, usize) {
    source(&manifest(&format!("source: {{{fields}}}")), Platform::Cluster).unwrap()
}

#[test]
fn outputs_are_checked_against_the_plan() {
    use api::plan::{Allowance, Budget};
    let check = |output: &str| {
        let job = validate(&manifest(&format!("{IMAGES}, fft: {{}}, reduce: [mean], outputs: [{{{output}}}]")), Platform::Local).unwrap();
        let plan = Plan::new(&job, Some(2), &Budget { memory: Allowance::Shared(1 << 30), cores: 2 }).unwrap();
        check_outputs(&job, &plan).map_err(|error| error.to_string())
    };
    use api::plan::Plan;
    assert_eq!(check("select: 'power[:,5,5]', url: 'file:///p.npy'"), Ok(()));
    assert_eq!(check("select: 'power', url: 'file:///all.zarr/power'"), Ok(()));
    assert!(
        check("select: 'power[:,60,5]', url: 'file:///p.npy'").unwrap_err().contains("index 60 is out of bounds for axis 1 with size 60")
    );
    assert!(check("select: 'power', url: 'file:///p.png'").unwrap_err().contains("has 3 axes; a .png file has 2"));
    assert!(check("select: 'powr', url: 'file:///p.npy'").unwrap_err().contains("there is no array 'powr'"));
}

/// A manifest of a probed array.
fn of_array(zarr: &str, more: &str, chunks: [usize; 3], parts: [usize; 3]) -> ArrayJob {
    let mut job = manifest(&format!("source: {{zarr: {{{zarr}}}{more}}}"));
    let layout = job::ArrayLayout { shape: [1000, 60, 80], dtype: Dtype::Uint16, chunks, parts };
    let frame = FrameSpec { height: 60, width: 80, dtype: Dtype::Uint16 };
    set_probed(&mut job, &Probed { frame, array: Some(layout) });
    job
}

#[test]
fn a_probed_array_completes_the_manifest() {
    let plain = manifest("source: {zarr: {url: 's3://b/a.zarr', array: '0'}}");
    assert!(needs_probe(&plain));
    assert_eq!(source(&plain, Platform::Cluster).unwrap().1, 1, "the number of frames is not known");
    assert!(validate(&plain, Platform::Cluster).unwrap_err().to_string().contains("has to probe the array first"));

    let whole = of_array("url: 's3://b/a.zarr', array: '0'", "", [50, 60, 80], [50, 60, 80]);
    assert!(!needs_probe(&whole));
    let job = validate(&whole, Platform::Cluster).unwrap();
    assert_eq!((job.frames, job.slab_frames, job.frame.height, job.frame.dtype), (1000, 50, 60, Dtype::Uint16), "slabs hold whole chunks");
    let part = of_array("url: 'http://h/a.zarr', start: 100, count: 7", "", [1, 60, 80], [1, 60, 80]);
    let job = validate(&part, Platform::Cluster).unwrap();
    assert_eq!((job.frames, job.slab_frames), (7, 7));
    assert!(matches!(job.source, job::Source::Zarr(job::Zarr { start: 100, .. })));
    for (chunks, parts, slab) in [([1000, 10, 10], [1000, 10, 10], 20), ([500, 60, 80], [16, 60, 80], 32)] {
        assert_eq!(validate(&of_array("url: 'gs://b/a'", "", chunks, parts), Platform::Local).unwrap().slab_frames, slab);
    }
    // A manifest may state the frame of an array, if both are equal.
    assert!(
        validate(
            &of_array("url: 'az://c/a'", ", frame: {height: 60, width: 80, dtype: uint16}", [1, 60, 80], [1, 60, 80]),
            Platform::Local
        )
        .is_ok()
    );
}

#[test]
fn invalid_arrays_are_refused() {
    let refusal =
        |zarr: &str, more: &str, platform| validate(&of_array(zarr, more, [1, 60, 80], [1, 60, 80]), platform).unwrap_err().to_string();
    let cases = [
        ("url: 'ftp://h/a.zarr'", "", "spec.source.zarr.url: the scheme must be http, https, file, s3, gs or az; found ftp"),
        ("url: 'a.zarr'", "", "spec.source.zarr.url: a.zarr is not a URL"),
        ("url: 'file:///a.zarr'", "", "spec.source.zarr.url: servers on a cluster cannot read file://"),
        ("url: 's3://b/a.zarr', array: '../b'", "", "spec.source.zarr.array: must be a path in the store"),
        ("url: 's3://b/a.zarr', start: 1000", "", "spec.source.zarr.start: must be less than the array's 1000 frames; found 1000"),
        ("url: 's3://b/a.zarr', start: 1, count: 1000", "", "spec.source.zarr.count: must be from 1 to 999, because the array has 1000"),
        ("url: 's3://b/a.zarr', count: 0", "", "spec.source.zarr.count: must be from 1 to 1000"),
        (
            "url: 's3://b/a.zarr'",
            ", frame: {height: 60, width: 80, dtype: uint8}",
            "spec.source.frame: the frames of the array are 60×80 uint16",
        ),
    ];
    for (zarr, more, expected) in cases {
        let found = refusal(zarr, more, Platform::Cluster);
        assert!(found.contains(expected), "{zarr}: {found}");
    }
    assert!(validate(&of_array("url: 'file:///a.zarr'", "", [1, 60, 80], [1, 60, 80]), Platform::Local).is_ok());
}
