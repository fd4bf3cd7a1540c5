//! `kubectl arrayjob`: results, progress and reports without names of pods, ports or tokens.

use crate::common::{QUICK_MOVIE, STATUS_TIMEOUT, TIMEOUT, quick_job, quick_slices, slow_job};
use std::io::Read as _;
use tests::browser::must_show;
use tests::cluster::{Plugin, Stage, numpy_results};
use tests::http;
use tests::job::job;
use tests::referee::python_process;

#[test]
fn results_are_read_by_job_name() {
    let stage = Stage::new("plugin");
    let source = stage.movie(&QUICK_MOVIE);
    let job = stage.start("named", &quick_job(&source.url));
    let plugin = Plugin::of(&stage.namespace);
    let watched = plugin.call("watch", &["named", "--timeout", "2m"]);
    assert_eq!(watched.code, Some(0), "{}", watched.stderr);
    assert!(job.condition("Complete").is, "watch ended before the job did");

    plugin.call("get", &["named", "power[:,10,10]", "-o", "p.npy"]).must_succeed();
    assert!(plugin.read("p.npy") == quick_slices().slice("power[:,10,10]"), "get returns other bytes than one machine");
    plugin.call("peek", &["named", "3", "-o", "frame.npy"]).must_succeed();
    assert!(plugin.read("frame.npy") == quick_slices().slice("raw[3]"), "peek returns another frame than one machine");

    let open = plugin.open("named");
    let (base, token) = open.url.split_once("/?token=").unwrap();
    let headers = [("Authorization", format!("Bearer {token}"))];
    let slice =
        http::call("GET", &format!("{base}/slice/power?sel=:,10,10&format=npy"), &headers.each_ref().map(|(n, v)| (*n, v.as_str())));
    assert!(slice.unwrap().body == quick_slices().slice("power[:,10,10]"), "open returns other bytes than one machine");

    let beyond = plugin.call("get", &["named", "power[:,128,0]"]);
    assert!(beyond.code == Some(1) && beyond.stderr.contains("128"), "{}", beyond.stderr);
    let unknown = plugin.call("get", &["unknown", "power"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("unknown"), "{}", unknown.stderr);
    stage.end();
}

#[test]
fn results_open_in_every_reader() {
    const FEW: [&str; 2] = ["--frames", "40"];
    // NumPy computes in double precision, the servers in single precision. With few pixels, no value is near the tolerance.
    let small = |url: &str| {
        let job = job(url, 40).frame(512, 512, "uint8").recenter(64, 64).fft("power").reduce(&["mean"]);
        job.keep(&["raw", "recentered", "power"]).servers(2).each("500m", "128Mi")
    };
    let reference = numpy_results(&FEW, small);
    let stage = Stage::new("anywhere");
    let source = stage.movie(&FEW);
    stage.start("anywhere", &small(&source.url)).must_complete(TIMEOUT);
    let plugin = Plugin::of(&stage.namespace);
    let open = plugin.open("anywhere");
    let folder = reference.path("reference");
    // The local tests cover HTTP itself. This test covers the arrays through kubectl and the API server.
    let output = python_process("open_anywhere", &[&open.url, folder.to_str().unwrap(), "--brief"], &[]);
    assert!(output.as_ref().is_ok_and(|output| output.contains("ways agree")), "{output:?}");
    stage.end();
}

#[test]
fn the_page_opens_by_job_name() {
    let stage = Stage::new("page");
    let source = stage.movie(&["--frames", "80"]);
    let job = job(&source.url, 80).frame(512, 512, "uint8").recenter(256, 256).fft("power").reduce(&["mean"]);
    stage.start("paged", &job.servers(2).each("500m", "192Mi")).must_complete(TIMEOUT);
    let plugin = Plugin::of(&stage.namespace);
    let open = plugin.open("paged");
    // The nucleus in the center has a period of eight frames.
    must_show(&open.url, [128, 128], 10);
    plugin.call("report", &["paged", "-o", "paged.html"]).must_succeed();
    let page = String::from_utf8(plugin.read("paged.html")).unwrap();
    let token = open.url.split_once("token=").unwrap().1;
    assert!(page.contains("api/v1/servers/1/tasks") && !page.contains(token), "the report lacks a server or contains the token");
    stage.end();
}

#[test]
fn watch_ends_with_the_job_or_at_the_timeout() {
    let stage = Stage::new("watch");
    let source = stage.movie(&["--frames", "240", "--delay-ms", "5000"]);
    stage.start("missing", &quick_job(&source.url.replace("{index}", "no/{index}")));
    stage.start("slow", &slow_job(&source.url));
    let plugin = Plugin::of(&stage.namespace);
    let failed = plugin.call("watch", &["missing", "--timeout", "1m"]);
    assert!(failed.code == Some(1) && failed.stderr.contains("SourceUnavailable"), "{}", failed.stderr);
    let late = plugin.call("watch", &["slow", "--timeout", "2s"]);
    assert!(late.code == Some(1) && late.stderr.contains("not finished after 2s"), "{}", late.stderr);
    let unknown = plugin.call("watch", &["unknown"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("unknown"), "{}", unknown.stderr);
    let wrong = plugin.call("watch", &["slow", "--timeout", "soon"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    stage.end();
}

#[test]
fn a_report_contains_everything_except_secrets() {
    let stage = Stage::new("report");
    let source = stage.movie(&QUICK_MOVIE);
    let job = stage.start("reported", &quick_job(&source.url));
    job.must_complete(TIMEOUT);
    let token = job.reader().token().to_owned();
    let plugin = Plugin::of(&stage.namespace);
    plugin.call("report", &["reported", "-o", "reported.zip"]).must_succeed();
    let mut archive = zip::ZipArchive::new(std::fs::File::open(plugin.file("reported.zip")).unwrap()).unwrap();
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let (name, mut text) = (file.name().unwrap().into_owned(), String::new());
        file.read_to_string(&mut text).unwrap();
        assert!(!text.contains(&token) && !text.contains("PRIVATE KEY"), "{name} contains a secret");
        names.push(name.rsplit('/').next().unwrap_or_default().to_owned());
    }
    for name in ["manifest.yaml", "status.yaml", "plan.txt", "events.txt", "pods.yaml", "reported-0.txt", "reported-1.txt"] {
        assert!(names.iter().any(|found| found == name), "no {name} among {names:?}");
    }
    job.until_ready(2, STATUS_TIMEOUT);
    stage.end();
}
