//! The access of each route on loopback: with both keys, with the page's cookie, and for pages of other origins.

use super::access::Access;
use super::routes::{COMMANDS, READERS};
use super::{Key, Keys, router};
use crate::compute::Compute;
use crate::worker::{Environment, Worker};
use api::phase::BootId;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use std::sync::Arc;
use tower_service::Service as _;
use transport::client::Client;

const READ: &str = "the-read-key";
const COMMAND: &str = "the-command-key";

fn server(boot: &str) -> Router {
    transport::crypto::install_crypto();
    let client = Client::new(COMMAND.into()).unwrap();
    let worker = Worker::new(BootId(boot.into()), Compute::new(1).unwrap(), client, Environment::default());
    let keys = Keys::loopback(Key::new(READ.into()), Key::new(COMMAND.into()), &worker.boot);
    router(Arc::new(worker), keys)
}

async fn send(server: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = headers.iter().fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
    server.clone().call(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn get(server: &Router, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    send(server, Method::GET, path, headers).await
}

fn is_refused(response: &Response<Body>) -> bool {
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&response.status())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// A path of a route, with 0 for each parameter.
fn example(path: &str) -> String {
    let filled = path.split('/').map(|part| if part.starts_with('{') { "0" } else { part });
    filled.collect::<Vec<_>>().join("/")
}

/// The page's path and its cookie, as a browser gets them.
async fn login(server: &Router) -> (String, String) {
    let first = get(server, &format!("/?token={READ}"), &[]).await;
    let to = header(first.headers(), "location").to_owned();
    assert_eq!((first.status(), first.headers().get(header::SET_COOKIE)), (StatusCode::SEE_OTHER, None));
    let second = get(server, &format!("/{to}"), &[]).await;
    assert_eq!((second.status(), header(second.headers(), "location")), (StatusCode::SEE_OTHER, "./"));
    let (cookie, rules) = header(second.headers(), "set-cookie").split_once("; ").unwrap();
    assert_eq!(rules, "HttpOnly; SameSite=Lax");
    let path = to.split_once("/?").unwrap().0;
    assert!(!cookie.contains(READ) && !path.contains(READ));
    (format!("/{path}"), cookie.to_owned())
}

#[test]
fn every_route_states_its_access() {
    assert!(COMMANDS.len() >= 10 && COMMANDS.iter().all(|route| route.access == Access::Command && route.path.starts_with("/v1/")));
    let public: Vec<&str> = READERS.iter().filter(|route| route.access == Access::Public).map(|route| route.path).collect();
    assert_eq!(public, ["/app.js", "/app.css"]);
    assert!(READERS.iter().all(|route| route.access <= Access::Read && !route.path.starts_with("/v1/")));
}

#[tokio::test]
async fn the_read_key_opens_no_command_route() {
    let server = server("b");
    let (page, cookie) = login(&server).await;
    let (bearer, basic) = (format!("Bearer {READ}"), format!("Basic {}", BASE64.encode(format!("me:{READ}"))));
    for route in COMMANDS {
        let path = route.path;
        let attempts = [
            (path.to_owned(), vec![]),
            (path.to_owned(), vec![("authorization", bearer.as_str())]),
            (path.to_owned(), vec![("authorization", basic.as_str())]),
            (path.to_owned(), vec![("cookie", cookie.as_str())]),
            (format!("{path}?token={READ}"), vec![]),
            (format!("{path}?token={COMMAND}"), vec![]),
            (format!("/t/{READ}{path}"), vec![]),
            (format!("/t/{COMMAND}{path}"), vec![]),
            (format!("{page}{path}"), vec![("cookie", cookie.as_str())]),
        ];
        for (attempt, headers) in attempts {
            for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE] {
                let response = send(&server, method.clone(), &attempt, &headers).await;
                assert!(is_refused(&response), "{method} {attempt} {headers:?}: {}", response.status());
            }
        }
        let command = format!("Bearer {COMMAND}");
        let response = get(&server, path, &[("authorization", &command)]).await;
        assert!(!is_refused(&response), "{path}: {}", response.status());
    }
}

#[tokio::test]
async fn both_keys_open_every_route_for_readers() {
    let server = server("b");
    let (page, cookie) = login(&server).await;
    for route in READERS {
        let path = example(route.path);
        for key in [READ, COMMAND] {
            let response = get(&server, &path, &[("authorization", &format!("Bearer {key}"))]).await;
            assert!(!is_refused(&response), "{path}: {}", response.status());
        }
        let response = get(&server, &format!("{page}{path}"), &[("cookie", &cookie)]).await;
        assert!(!is_refused(&response), "{path} of the page: {}", response.status());
        assert_eq!(is_refused(&get(&server, &path, &[]).await), route.access != Access::Public, "{path} without a key");
    }
}

#[tokio::test]
async fn a_stolen_cookie_opens_nothing() {
    let (server, other_start) = (server("a"), server("b"));
    let (page, cookie) = login(&server).await;
    let (_, value) = cookie.split_once('=').unwrap();
    for route in READERS.iter().filter(|route| route.access == Access::Read) {
        let path = example(route.path);
        let (page_elsewhere, guessed) = (format!("{page}{path}"), format!("/p/{}{path}", "0".repeat(32)));
        // The listener of another port that receives the cookie does not know the path of the page.
        for (path, headers) in [
            (path.clone(), vec![("cookie", cookie.clone())]),
            (path.clone(), vec![("cookie", format!("token={value}"))]),
            (path.clone(), vec![("authorization", format!("Bearer {value}"))]),
            (format!("{path}?token={value}"), vec![]),
            (format!("/t/{value}{path}"), vec![]),
            (guessed, vec![("cookie", cookie.clone())]),
            // The path of the page without the cookie, for example from a screenshot.
            (page_elsewhere.clone(), vec![]),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert!(is_refused(&get(&server, &path, &headers).await), "{path} {headers:?}");
        }
        // The listener that takes over the port after the server has ended receives both.
        assert!(is_refused(&get(&other_start, &page_elsewhere, &[("cookie", &cookie)]).await), "{page_elsewhere}");
    }
    assert!(is_refused(&get(&server, "/", &[("cookie", &format!("token={READ}"))]).await), "the key is accepted as a cookie");
}

#[tokio::test]
async fn a_page_of_an_earlier_start_leads_to_the_new_path() {
    let (earlier, server) = (server("a"), server("b"));
    let ((old, _), (new, cookie)) = (login(&earlier).await, login(&server).await);
    let form = get(&server, &format!("{old}/"), &[("accept", "text/html")]).await;
    assert_eq!(form.status(), StatusCode::UNAUTHORIZED);
    let redirect = get(&server, &format!("{old}/?token={READ}"), &[]).await;
    assert_eq!(header(redirect.headers(), "location"), format!("..{}/?token={READ}", new.strip_prefix("/p").unwrap()));
    assert_eq!(get(&server, &format!("{new}/"), &[("cookie", &cookie)]).await.status(), StatusCode::OK);
    assert_eq!(get(&server, &format!("{old}/app.css"), &[]).await.status(), StatusCode::OK, "the style of the form");
}

#[tokio::test]
async fn only_routes_for_readers_permit_other_origins() {
    let server = server("b");
    let permits = async |method: Method, path: &str| {
        let response = send(&server, method, path, &[("origin", "https://example.org")]).await;
        response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    };
    let all = COMMANDS.iter().map(|route| (route.path, false)).chain(READERS.iter().map(|route| (route.path, true)));
    for (path, shared) in all {
        let path = example(path);
        for prefix in ["".to_owned(), format!("/t/{READ}"), "/t/wrong".to_owned(), "/t/".to_owned()] {
            for method in [Method::GET, Method::OPTIONS] {
                assert_eq!(permits(method.clone(), &format!("{prefix}{path}")).await, shared, "{method} {prefix}{path}");
            }
        }
        for method in [Method::GET, Method::OPTIONS] {
            assert!(!permits(method, &format!("/p/secret{path}")).await, "the page's {path}");
        }
    }
}

#[tokio::test]
async fn an_unreadable_parameter_is_a_problem_in_json() {
    let server = server("b");
    let (read, command) = (format!("Bearer {READ}"), format!("Bearer {COMMAND}"));
    let reading = ["/api/v1/servers/0/tasks?resolution=-1", "/api/v1/servers/0/tasks?resolution=nan", "/api/v1/servers/0/tasks?after=x"];
    let more = ["/api/v1/servers/one/tasks", "/api/v1/peek/-1", "/api/v1/preview/raw?edge=-1", "/slice/%ff", "/arrays.zarr/%ff"];
    let commands = ["/v1/progress?wait_ms=-1", "/v1/block", "/v1/block?band=-1", "/v1/tasks?resolution=-1", "/v1/preview?array=raw"];
    let readers = reading.iter().chain(&more).map(|path| (*path, &read));
    for (path, key) in readers.chain(commands.iter().map(|path| (*path, &command))) {
        let response = get(&server, path, &[("authorization", key)]).await;
        assert_eq!(
            (response.status(), header(response.headers(), "content-type")),
            (StatusCode::BAD_REQUEST, "application/json"),
            "{path}"
        );
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let problem: api::wire::Problem = serde_json::from_slice(&body).unwrap();
        assert!(problem.error.starts_with("cannot read the "), "{path}: {}", problem.error);
    }
    let unreadable = send(&server, Method::POST, "/v1/probe", &[("authorization", &command), ("content-type", "application/json")]).await;
    assert_eq!((unreadable.status(), header(unreadable.headers(), "content-type")), (StatusCode::BAD_REQUEST, "application/json"));
}
