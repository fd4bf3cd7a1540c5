//! Each error gives one sentence that names the cause, and an exit code, and leaves no files and no processes.

use api::geometry::Dtype;
use serde_json::json;
use tests::job::{Job, job};
use tests::movie::{Movie, png, png_with_false_header};
use tests::place::{CommandOutput, Place};
use tests::source::{Fault, FrameServer};
use tests::zarr::Arrays;

const MOVIE: Movie = Movie::of(37, 51, Dtype::Uint8);
const NOWHERE: &str = "http://nobody.invalid/{index}";
/// Exit code for an invalid manifest.
const INVALID: i32 = 2;
/// Exit code for a failed job.
const FAILED: i32 = 1;

/// A job that is valid except for the source.
fn valid_job(url_template: &str) -> Job {
    job(url_template, 20).frame_of(MOVIE).slabs_of(6).recenter(20, 30).fft("power")
}

/// Checks for one sentence with these words, this exit code, and no leftovers except the named files.
fn must_refuse(place: &Place, what: &str, ended: &CommandOutput, code: i32, words: &[&str], except: &[&str]) {
    let sentence = ended.sentence();
    assert_eq!(ended.code, Some(code), "{what}: {sentence}");
    assert_eq!(sentence.lines().count(), 1, "more than one line for {what}: {sentence}");
    for word in words {
        assert!(sentence.contains(word), "{what}: no '{word}' in: {sentence}");
    }
    assert!(!sentence.contains("panicked"), "{what}: {sentence}");
    place.must_leave_nothing_but(except);
}

/// Runs a job, which must fail with these words.
fn check(what: &str, job: &Job, more: &[&str], code: i32, words: &[&str]) {
    let place = Place::default();
    let ended = place.start_job("job", job, 2, more).end();
    must_refuse(&place, what, &ended, code, words, &["job.json"]);
}

/// Runs the text of a manifest, which must be refused with these words.
fn check_text(what: &str, text: &str, words: &[&str]) {
    let place = Place::default();
    place.write("job.yaml", text.as_bytes());
    let ended = place.call(["run", "job.yaml", "--servers", "2", "--out", "out", "--progress", "json"]);
    must_refuse(&place, what, &ended, INVALID, words, &["job.yaml"]);
}

#[test]
fn an_invalid_manifest_names_the_field_and_the_rule() {
    let yaml = |spec: &str| format!("apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\nmetadata: {{name: job}}\nspec:\n{spec}");
    let images = |fields: &str| yaml(&format!("  source: {{images: {{urlTemplate: '{NOWHERE}', {fields}}}}}\n"));
    check_text("an unknown field", &images("count: 3, cuont: 4"), &["job.yaml", "spec.source.images.cuont", "no such field"]);
    check_text("an unknown phase", &format!("{}  recentre: {{}}\n", images("count: 3")), &["spec.recentre", "recenter"]);
    check_text("text instead of a number", &images("count: three"), &["spec.source.images.count", "three"]);
    check_text("a negative count", &images("count: -1"), &["spec.source.images.count", "-1"]);
    check_text("no count", &images("start: 0"), &["spec.source.images", "count"]);
    check_text("no source", &yaml("  fft: {}\n"), &["spec", "source"]);
    check_text("another kind", &images("count: 3").replace("ArrayJob", "Job"), &["kind", "ArrayJob"]);
    check_text("an empty file", "", &["job.yaml", "ArrayJob"]);
    check_text("an unknown word", &format!("{}  fft: {{output: loudness}}\n", images("count: 3")), &["spec.fft.output", "loudness"]);
    let place = Place::default();
    let ended = place.call(["run", "nothing.yaml", "--out", "out"]);
    must_refuse(&place, "no manifest", &ended, INVALID, &["cannot read nothing.yaml"], &[]);
}

#[test]
fn invalid_yaml_is_reported_in_one_line() {
    check_text("no YAML", "{", &["job.yaml", "YAML"]);
}

#[test]
fn a_broken_rule_names_the_field() {
    let refused = |what: &str, job: &Job, words: &[&str]| check(what, job, &[], INVALID, words);
    refused("no frames", &job(NOWHERE, 0), &["spec.source.images.count", "from 1", "found 0"]);
    refused(
        "frames with too many bytes",
        &valid_job(NOWHERE).frame(usize::MAX / 2, usize::MAX / 2, "float32"),
        &["spec.source.frame", "too large"],
    );
    refused("indices beyond 64 bits", &valid_job(NOWHERE).start_step(i64::MAX, 1), &["spec.source.images.step", "64-bit"]);
    refused("a crop larger than the frame", &valid_job(NOWHERE).recenter(38, 30), &["spec.recenter.crop", "[38, 30]", "37×51"]);
    refused("an empty slab", &valid_job(NOWHERE).slabs_of(0), &["spec.load.chunkFrames", "at least 1"]);
    refused("an empty chunk", &valid_job(NOWHERE).rechunk([-1, 0, 1]), &["spec.rechunk.chunks", "found 0"]);
    refused("an unknown array", &valid_job(NOWHERE).keep(&["amplitude"]), &["spec.keep[0]", "amplitude", "power"]);
    refused("two sources", &valid_job(NOWHERE).set("source", json!({})), &["spec.source", "exactly one"]);
    let missing = json!([{"select": "powr[:,0,0]", "url": "file:///tmp/x.npy"}]);
    refused("a selection of nothing", &valid_job(NOWHERE).set("outputs", missing), &["spec.outputs[0].select", "powr", "power"]);
    let beyond = json!([{"select": "power[20]", "url": "file:///tmp/x.npy"}]);
    refused("a selection out of bounds", &valid_job(NOWHERE).set("outputs", beyond), &["spec.outputs[0].select", "20 is out of bounds"]);
    check("a --save without a path", &valid_job(NOWHERE), &["--save", "power"], INVALID, &["--save 'power'", "SELECTION=PATH"]);
    check("a --save without a format", &valid_job(NOWHERE), &["--save", "power=x.docx"], INVALID, &["spec.outputs[0].url", "extension"]);
}

#[test]
fn an_unreachable_source_is_named() {
    // In parallel, because each check takes several attempts.
    std::thread::scope(|scope| {
        let unknown = "http://nobody.invalid/7";
        scope.spawn(|| {
            check(
                "an unknown host",
                &valid_job(unknown.replace('7', "{index}").as_str()),
                &[],
                FAILED,
                &["frame", "nobody.invalid", "host name"],
            );
        });
        scope.spawn(|| {
            check("a closed port", &valid_job("http://127.0.0.1:1/{index}"), &[], FAILED, &["frame", "http://127.0.0.1:1/", "refused"]);
        });
        scope.spawn(|| {
            let probed = job("http://127.0.0.1:1/{index}", 20);
            check("a closed port during the probe", &probed, &[], FAILED, &["frame 0", "http://127.0.0.1:1/0", "refused"]);
        });
        scope.spawn(|| {
            check("no such file", &valid_job("file:///nowhere/{index}.png"), &[], FAILED, &["frame", "file:///nowhere/", "does not exist"]);
        });
    });
}

#[test]
fn frames_without_a_centroid_are_listed() {
    let movie = Movie::of(8, 8, Dtype::Float32);
    let scaled = |index: i64, factor: f32| -> Vec<u8> {
        let values = movie.raw(index).as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes) * factor).collect::<Vec<_>>();
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    let mut frames: Vec<Vec<u8>> = (0..20).map(|index| scaled(index, 1.0)).collect();
    frames[3] = vec![0; frames[3].len()];
    frames[7] = scaled(7, -1.0);
    frames[11][100..104].copy_from_slice(&f32::NAN.to_le_bytes());
    let source = FrameServer::ready(frames);
    let place = Place::default();
    let job = job(&source.url("{index}"), 20).frame(8, 8, "float32").recenter(4, 4).keep(&["recentered"]);
    place.write("run.json", job.manifest("uncentered").as_bytes());
    let ended = place.call(["run", "run.json", "--servers", "2", "--out", "out"]);
    ended.must_succeed();
    assert!(ended.stderr.contains("; 3 frames without a centroid, the first is 3"), "{}", ended.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("out/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["frames_without_centroid"], json!([3, 7, 11]));
}

/// Checks a fault of one frame: `Fail` names the frame, `Blank` lists the frame and fills it with zeros.
fn check_frame(what: &str, fault: &Fault, words: &[&str]) {
    let bad = 13_i64;
    let source = FrameServer::png(MOVIE).with(bad, fault.clone());
    let url = source.url("13");
    let mut expected = vec!["frame 13", url.as_str(), "server"];
    expected.extend(words);
    check(what, &valid_job(&source.url("{index}")), &[], FAILED, &expected);

    let place = Place::default();
    let source = FrameServer::png(MOVIE).with(bad, fault.clone());
    let (summary, arrays): (_, Arrays) = place.results("blank", &valid_job(&source.url("{index}")).blank(), 2);
    assert_eq!(summary["frames_blank"], json!([bad]), "{what}");
    let raw = &arrays["raw"].bytes;
    for (index, frame) in raw.chunks_exact(MOVIE.frame.bytes()).enumerate() {
        let expected = if index as i64 == bad { vec![0; frame.len()] } else { MOVIE.raw(index as i64) };
        assert!(frame == expected, "{what}: frame {index}");
    }
    place.must_leave_nothing_but(&["blank.json", "blank"]);
}

#[test]
fn a_missing_frame_is_named_or_blank() {
    check_frame("404", &Fault::Missing, &["404", "check the URL template"]);
}

#[test]
fn a_frame_of_another_shape_or_type_is_named_or_blank() {
    let taller = Movie::of(38, 51, Dtype::Uint8);
    check_frame("another shape", &Fault::Instead(taller.png(13)), &["38×51 uint8", "37×51 uint8"]);
    let deeper = Movie::of(37, 51, Dtype::Uint16);
    check_frame("another dtype", &Fault::Instead(deeper.png(13)), &["37×51 uint16", "37×51 uint8"]);
    check_frame("a page of HTML", &Fault::Instead(b"<html>busy</html>".to_vec()), &["text, not an image: HTML"]);
    check_frame("raw pixels of another size", &Fault::Instead(vec![200; 99]), &["99 bytes", "1887"]);
}

#[test]
fn a_damaged_frame_is_named_or_blank() {
    let whole = png(MOVIE.frame, &MOVIE.raw(13));
    check_frame("half an image", &Fault::Instead(whole[..whole.len() / 2].to_vec()), &["PNG ends early"]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    check_frame("a flipped byte", &Fault::Instead(flipped), &["PNG is corrupt"]);
    check_frame("a forged header", &Fault::Instead(png_with_false_header(50_000, 50_000)), &["50000×50000", "37×51"]);
    check_frame("an empty body", &Fault::Instead(Vec::new()), &["0 bytes"]);
}

#[test]
fn a_first_frame_with_a_false_header_fails_the_job() {
    let source = FrameServer::ready(vec![png_with_false_header(50_000, 50_000)]);
    let promised = job(&source.url("{index}"), 20).recenter(100, 100);
    check("50,000 × 50,000", &promised, &[], FAILED, &[]);
}

#[test]
fn a_job_too_large_for_memory_names_a_size_that_fits() {
    let place = Place::default();
    let plan = |name: &str, job: &Job| {
        let manifest = place.manifest(name, job);
        place.call(["plan", manifest.to_str().unwrap(), "--servers", "2", "--memory", "64Mi"])
    };
    let large = |count| job(NOWHERE, count).frame(500, 500, "uint8").slabs_of(10).recenter(250, 250).fft("power").storage("Memory");
    let words = ["InsufficientMemory", "needs", "limit 64.0 MiB", "replicas would fit"];
    must_refuse(&place, "too few servers", &plan("few", &large(1000)), FAILED, &words, &["few.json"]);
    let huge = large(10).frame(5000, 5000, "uint8").recenter(5000, 5000);
    let words = ["InsufficientMemory", "limit 64.0 MiB", "no number of replicas fits", "servers.resources.limits.memory to"];
    must_refuse(&place, "too little memory", &plan("huge", &huge), FAILED, &words, &["few.json", "huge.json"]);
}

#[test]
fn the_suggested_number_of_replicas_fits() {
    let place = Place::default();
    let job = job(NOWHERE, 1000).frame(500, 500, "uint8").slabs_of(10).recenter(250, 250).fft("power").storage("Memory");
    let manifest = place.manifest("job", &job);
    let plan = |servers: &str| place.call(["plan", manifest.to_str().unwrap(), "--servers", servers, "--memory", "64Mi"]);
    let sentence = plan("2").sentence();
    let before = sentence.split(" replicas would fit").next().unwrap();
    let fit: usize = before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{sentence}"));
    plan(&fit.to_string()).must_succeed();
    assert_eq!(plan(&(fit - 1).to_string()).code, Some(FAILED), "{} servers fit too", fit - 1);
}

#[test]
fn an_unwritable_folder_is_named() {
    let place = Place::default();
    let manifest = place.manifest("job", &valid_job(NOWHERE));
    let manifest = manifest.to_str().unwrap();
    place.write("file", b"");
    let run = |more: [&str; 2]| place.call(["run", manifest, "--servers", "2", "--progress", "json", more[0], more[1]]);
    let left = &["job.json", "file"];
    must_refuse(&place, "--out below a file", &run(["--out", "file/out"]), FAILED, &["cannot write", "file/out"], left);
    must_refuse(&place, "--out is a file", &run(["--out", "file"]), FAILED, &["cannot write", "file"], left);
    must_refuse(&place, "--save below a file", &run(["--save", "power=file/p.npy"]), FAILED, &["cannot write", "file/p.npy"], left);
    must_refuse(&place, "--save to nowhere", &run(["--save", "power=no/p.npy"]), FAILED, &["cannot write", "no/p.npy"], left);
}
