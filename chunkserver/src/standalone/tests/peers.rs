//! The port for peers: certificates, and probes.

use super::source::{FrameServer, SECRET};
use super::support::{Authority, Cluster, FRAME, FRAMES, HttpResponse, ServerFolders, TOKEN, builder, client_of, job, source_of};
use crate::standalone::Server;
use api::geometry::FrameSpec;
use api::job::{Images, Source};
use api::phase::reason;
use api::wire::{BLOCK_PIECE_HEADER, BOOT_HEADER, GENERATION_HEADER, ProbeRequest, UID_HEADER, route};
use transport::client::Client;
use transport::tls::{Identity, SERVER_NAME};

async fn progress(client: &reqwest::Client, address: &str) -> Result<HttpResponse, reqwest::Error> {
    HttpResponse::to(client.get(format!("https://{address}{}", route::PROGRESS))).await
}

#[tokio::test]
async fn only_a_certificate_of_the_jobs_authority_opens_the_peers_port() {
    let cluster = Cluster::start(1, &[]);
    let address = cluster.peer(0);
    let ours = cluster.authority.leaf(SERVER_NAME);
    let accepted = progress(&client_of(&ours), &address).await.unwrap();
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    // The name in a client's certificate has no effect; only the authority counts.
    assert_eq!(progress(&client_of(&cluster.authority.leaf("operator.example")), &address).await.unwrap().status, 200);

    let without_certificate = builder().tls_danger_accept_invalid_certs(true).build().unwrap();
    progress(&without_certificate, &address).await.unwrap_err();
    let other = Authority::new().leaf(SERVER_NAME);
    // A client that trusts our authority, with a certificate of another authority.
    let mixed = Identity { authority: ours.authority.clone(), ..other.clone() };
    progress(&client_of(&mixed), &address).await.unwrap_err();
    // A client with our certificate that trusts only another authority.
    progress(&client_of(&Identity { authority: other.authority, ..ours }), &address).await.unwrap_err();
    let plain = HttpResponse::to(builder().build().unwrap().get(format!("http://{address}{}", route::PROGRESS))).await;
    assert!(plain.is_err() || plain.is_ok_and(|response| response.status >= 400));
    // The server still works.
    assert_eq!(cluster.progress(0).await.assignment, None);
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_refused() {
    let authority = Authority::new();
    let folders = ServerFolders::new(&authority, TOKEN, &[]);
    for impostor in [authority.leaf("operator.example"), Authority::new().leaf(SERVER_NAME)] {
        folders.identify(&impostor);
        let server = Server::bind(&folders.settings()).unwrap();
        let address = format!("127.0.0.1:{}", server.addresses().peers.port());
        let task = tokio::spawn(server.serve(std::future::pending()));
        let error = progress(&client_of(&authority.leaf(SERVER_NAME)), &address).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        task.abort();
    }
    assert_eq!(format!("{:?}", Client::secured(&authority.leaf(SERVER_NAME)).unwrap()), "Client");
    assert_eq!(format!("{:?}", authority.leaf(SERVER_NAME)), "Identity");
}

async fn probe(cluster: &Cluster, source: Images) -> HttpResponse {
    let body = serde_json::to_vec(&ProbeRequest { source: Source::Images(source), frames: FRAMES }).unwrap();
    cluster.command(0, |client, url| client.post(url + route::PROBE).header("content-type", "application/json").body(body)).await
}

#[tokio::test]
async fn the_first_frame_is_probed_with_the_servers_secret() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    let response = probe(&cluster, source_of(frames.url("frame/{index}"))).await;
    assert_eq!((response.status, response.json::<FrameSpec>()), (200, FRAME));
    assert_eq!(response.json::<serde_json::Value>(), serde_json::json!({"height": 120, "width": 100, "dtype": "uint8"}));
    // The secret replaces a header of the manifest; names of headers are not case-sensitive.
    let overridden = Images { headers: vec![("x-api-key".into(), "wrong".into())], ..source_of(frames.url("frame/{index}")) };
    assert_eq!(probe(&cluster, overridden).await.status, 200);

    let (status, reason, error) = probe(&cluster, source_of(frames.url("nothing/{index}?key=hidden"))).await.problem();
    assert_eq!((status, reason.as_deref()), (422, Some(reason::SOURCE_UNAVAILABLE)));
    assert!(error.contains("404") && error.contains("check the URL template") && error.contains("/nothing/100"), "{error}");
    assert!(!error.contains("hidden") && !error.contains(SECRET), "{error}");
    let (status, reason, error) = probe(&cluster, source_of(frames.url("page/{index}"))).await.problem();
    assert_eq!((status, reason.as_deref()), (422, Some(reason::CHUNK_DECODE_FAILED)));
    assert!(error.contains("text, not an image"), "{error}");
    let (status, _, error) = probe(&cluster, source_of("file:///etc/passwd{index}".into())).await.problem();
    assert!(status == 422 && error.contains("file:// works only where the job runs on one machine"), "{status} {error}");
    assert_eq!(probe(&cluster, source_of("http://h/{nothing}".into())).await.status, 400);
    assert_eq!(probe(&cluster, Images { depth: 0, ..source_of(frames.url("frame/{index}")) }).await.status, 404);
}

#[tokio::test]
async fn an_invalid_secret_header_is_named_without_its_value() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", "a\u{1}b")]));
    let (status, reason, error) = probe(&cluster, source_of(frames.url("frame/{index}"))).await.problem();
    assert_eq!((status, reason.as_deref()), (422, Some(reason::SOURCE_UNAVAILABLE)));
    assert!(error.contains("\"X-Api-Key\" is not valid") && !error.contains('\u{1}'), "{error}");
}

#[tokio::test]
async fn a_request_about_another_job_or_start_is_refused() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(1, &[("X-Api-Key", SECRET)]));
    cluster.assign(&job(&frames)).await;
    cluster.until_computed().await;
    let boot = cluster.workers[0].boot.0.clone();
    let check = async |boot: &str, uid: &str, generation: &str, band: usize, status: u16, word: &str| {
        let response = cluster.command(0, |client, url| {
            let request = client.get(format!("{url}{}?band={band}", route::BLOCK)).header(BOOT_HEADER, boot);
            request.header(UID_HEADER, uid).header(GENERATION_HEADER, generation)
        });
        let response = response.await;
        assert!(response.status == status && response.text().contains(word), "{boot} {uid}: {} {}", response.status, response.text());
    };
    check("another", "u", "1", 0, 409, "boot id").await;
    check(&boot, "another", "1", 0, 409, "job").await;
    check(&boot, "u", "7", 0, 409, "generation").await;
    check(&boot, "u", "1", 100_000, 404, "band").await;
    let block = cluster.command(0, |client, url| {
        let request = client.get(format!("{url}{}?band=0", route::BLOCK)).header(BOOT_HEADER, &boot);
        request.header(UID_HEADER, "u").header(GENERATION_HEADER, "1")
    });
    let whole = block.await;
    assert_eq!(whole.status, 200);
    // A server of an earlier version requests no size of pieces. The rows are the same for any size.
    for (wanted, stated) in [("", "1048576"), ("&piece=262144", "262144"), ("&piece=1", "262144"), ("&piece=99999999", "1048576")] {
        let response = cluster.command(0, |client, url| {
            let request = client.get(format!("{url}{}?band=0{wanted}", route::BLOCK)).header(BOOT_HEADER, &boot);
            request.header(UID_HEADER, "u").header(GENERATION_HEADER, "1")
        });
        let response = response.await;
        assert_eq!(response.header(BLOCK_PIECE_HEADER), stated, "{wanted}");
        assert_eq!(response.body, whole.body, "{wanted}");
    }
}
