//! The page, its login, and its report.

use super::source::{FrameServer, SECRET};
use super::support::{Cluster, HttpResponse, TOKEN, builder, job};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};

fn browser() -> Client {
    builder().redirect(Policy::none()).build().unwrap()
}

async fn of(request: RequestBuilder) -> HttpResponse {
    HttpResponse::to(request.header("accept", "text/html,*/*;q=0.8")).await.unwrap()
}

#[tokio::test]
async fn the_token_leaves_the_address_and_opens_the_page() {
    let (cluster, browser) = (Cluster::start(2, &[]), browser());
    let url = cluster.reader_url(0, "/");
    let first = of(browser.get(format!("{url}?token={TOKEN}"))).await;
    let login = format!("{url}{}", first.header("location"));
    assert_eq!((first.status, first.header("set-cookie"), first.header("referrer-policy")), (303, "", "no-referrer"));
    let second = of(browser.get(&login)).await;
    assert_eq!((second.status, second.header("location"), second.header("referrer-policy")), (303, "./", "no-referrer"));
    let cookie = second.header("set-cookie").to_owned();
    let (pair, rules) = cookie.split_once("; ").unwrap();
    assert!(rules == "HttpOnly; SameSite=Lax" && !pair.contains(TOKEN), "{cookie}");
    let url = login.split_once('?').unwrap().0.to_owned();
    assert!(!url.contains(TOKEN), "{url}");

    let page = of(browser.get(&url).header("cookie", pair)).await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{}", page.text());
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text().contains("app.js") && !page.text().contains(TOKEN));
    let prefixed = of(browser.get(cluster.reader_url(0, &format!("/t/{TOKEN}/")))).await;
    assert!(prefixed.status == 200 && prefixed.body == page.body, "the page behind the prefix differs");
    let tag = page.header("etag").to_owned();
    assert_eq!(of(browser.get(&url).header("cookie", pair).header("if-none-match", tag)).await.status, 304);
    // A Service or a port-forward selects a server for each connection.
    let (path, other) = (url.trim_start_matches(&cluster.reader_url(0, "")), 1);
    assert_eq!(of(browser.get(cluster.reader_url(other, path)).header("cookie", pair)).await.status, 200);
}

#[tokio::test]
async fn a_browser_without_the_token_receives_a_form() {
    let (cluster, browser) = (Cluster::start(1, &[]), browser());
    for path in ["/", "/?token=wrong"] {
        let form = of(browser.get(cluster.reader_url(0, path))).await;
        assert!(form.status == 401 && form.text().contains("name=\"token\""), "{path}: {}", form.text());
        assert!(form.header("content-security-policy").contains("form-action 'self'"));
    }
    // Programs receive a JSON problem.
    let refused = HttpResponse::to(browser.get(cluster.reader_url(0, "/"))).await.unwrap();
    assert_eq!(refused.problem().0, 401);
    let elsewhere = of(browser.get(cluster.reader_url(0, "/report"))).await;
    assert_eq!(elsewhere.problem().0, 401);
}

#[tokio::test]
async fn a_report_contains_the_responses() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    assert_eq!(cluster.read(0, "/report").await.status, 503, "the server has no job yet");
    cluster.assign(&job(&frames)).await;
    cluster.until_computed().await;
    let report = cluster.read(1, "/report").await;
    assert_eq!((report.status, report.header("content-disposition")), (200, "attachment; filename=\"movie.html\""));
    let text = report.text();
    let recorded = text.split_once("id=\"recorded\">").unwrap().1.split_once("</script>").unwrap().0;
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let responses = recorded["answers"].as_object().unwrap();
    for key in [
        "api/v1/status",
        "slice/power_mean_trace?format=npy",
        "slice/raw_mean_frame?sel=::1,::1&format=npy",
        "slice/raw?sel=:,60,50&format=npy",
    ] {
        assert!(responses.contains_key(key), "no {key} among {:?}", responses.keys());
    }
    let status: serde_json::Value = serde_json::from_str(responses["api/v1/status"]["body"].as_str().unwrap()).unwrap();
    // No operator starts the outputs in this test.
    assert_eq!((status["job"].as_str(), status["state"].as_str()), (Some("movie"), Some("Writing")));
    assert!(!text.contains(TOKEN) && !text.contains(SECRET), "a secret is in the report");
}
