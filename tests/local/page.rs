//! The page of a job: available after the start of the servers, and saved as one file.

use api::geometry::Dtype;
use serde_json::Value;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;

const MOVIE: Movie = Movie::of(24, 32, Dtype::Uint8);

/// The recorded responses of a report.
fn recorded(page: &[u8]) -> Value {
    let page = std::str::from_utf8(page).unwrap();
    let text = page.split_once("id=\"recorded\">").unwrap().1.split_once("</script>").unwrap().0;
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_report_is_one_file_with_all_data_of_the_page() {
    let (place, source) = (Place::default(), FrameServer::raw(MOVIE));
    let job = job(&source.url("{index}"), 40).frame_of(MOVIE).recenter(12, 16).fft("power").reduce(&["mean"]);
    let mut running = place.start_job("paged", &job, 2, &["--serve"]);
    let watch = running.until_reported("the page is available", |line| line["watch"].as_str().map(str::to_owned));
    // From now on, the job has a name, also before its end.
    place.call(["get", "paged", "raw[3]", "-o", "frame.npy"]).must_succeed();
    assert_eq!(running.until_served(), watch, "the URL changed without a lost server");
    for (target, file) in [("paged", "named.html"), (watch.as_str(), "by-url.html")] {
        place.call(["report", target, "-o", file]).must_succeed();
        let page = std::fs::read(place.path(file)).unwrap();
        let responses = &recorded(&page)["answers"];
        for key in
            ["api/v1/status", "api/v1/servers/0/tasks", "api/v1/servers/1/tasks", "slice/recentered_mean_frame?sel=::1,::1&format=npy"]
        {
            assert!(responses[key]["type"].is_string(), "{file} lacks {key}");
        }
        let status: Value = serde_json::from_str(responses["api/v1/status"]["body"].as_str().unwrap()).unwrap();
        assert_eq!(status["state"], "Finished");
        let token = watch.split_once("token=").unwrap().1;
        assert!(!String::from_utf8_lossy(&page).contains(token), "{file} contains the token");
    }
    // A run with --out also writes a report into the output folder.
    let in_folder = std::fs::read(place.path("paged").join("report.html")).unwrap();
    assert!(recorded(&in_folder)["answers"]["api/v1/status"]["body"].as_str().is_some_and(|status| status.contains("\"paged\"")));
    let wrong = place.call(["report", "paged", "-o", "paged.pdf"]);
    assert!(wrong.code == Some(1) && wrong.sentence().contains(".html"), "{}", wrong.sentence());
    let zip = place.call(["report", "paged", "-o", "paged.zip"]);
    assert!(zip.code == Some(1) && zip.sentence().contains("cluster"), "{}", zip.sentence());
}
