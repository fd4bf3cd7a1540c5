use super::dial::{DialError, PodStream};
use super::*;
use crate::reader::Reader;
use futures_util::FutureExt as _;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Pods whose names state the result of a connection.
struct Fake {
    pods: Vec<&'static str>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Dial for Fake {
    async fn pods(&self) -> Result<Vec<String>, DialError> {
        Ok(self.pods.iter().map(|pod| (*pod).to_owned()).collect())
    }

    async fn dial(&self, pod: &str) -> Result<PodStream, DialError> {
        self.calls.lock().unwrap().push(pod.to_owned());
        if pod == "gone" {
            return Err(DialError::unavailable("pods \"gone\" not found"));
        }
        if pod == "forbidden" {
            return Err(DialError::forbidden("no permission"));
        }
        let (stream, mut far) = tokio::io::duplex(1 << 16);
        let (error_sender, error) = tokio::sync::oneshot::channel();
        let pod = pod.to_owned();
        tokio::spawn(async move {
            if pod == "closed" {
                let _ = error_sender.send("connect: connection refused".to_owned());
                return;
            }
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                far.read_exact(&mut byte).await.unwrap();
                request.push(byte[0]);
            }
            if pod.starts_with("dying") {
                return;
            }
            let path = String::from_utf8(request).unwrap().split(' ').nth(1).unwrap().to_owned();
            let body = format!("{pod} {path}");
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            far.write_all(response.as_bytes()).await.unwrap();
            // Keeps the connection open, as a server does.
            let _ = far.read(&mut [0]).await;
            drop(error_sender);
        });
        Ok(PodStream { stream, error: async move { error.await.ok() }.boxed() })
    }

    fn responded(&self, pod: &str) {
        self.calls.lock().unwrap().push(format!("{pod} responded"));
    }
}

async fn through(pods: &[&'static str]) -> (Result<String, String>, Vec<String>) {
    let calls = Arc::default();
    let forward = Forward::start(Fake { pods: pods.to_vec(), calls: Arc::clone(&calls) }, 0).await.unwrap();
    let reader = Reader::new(&format!("http://{}/?token=t", forward.address)).unwrap();
    let body = reader.slice("power", ":", "raw").await.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.sentence());
    let calls = calls.lock().unwrap().clone();
    (body, calls)
}

#[tokio::test]
async fn another_pod_is_chosen_when_one_fails() {
    let (body, calls) = through(&["gone", "closed", "dying", "good", "unused"]).await;
    assert_eq!(body.unwrap(), "good /slice/power?sel=%3A&format=raw");
    assert_eq!(calls, ["gone", "closed", "dying", "good", "good responded"]);
}

#[tokio::test]
async fn an_unreachable_job_is_refused_with_a_reason() {
    assert!(through(&[]).await.0.unwrap_err().contains("no server of the job is ready"));
    assert!(through(&["closed", "gone"]).await.0.unwrap_err().contains("pods \"gone\" not found"));
    assert!(through(&["forbidden"]).await.0.unwrap_err().contains("forbidden: no permission"));
    assert!(through(&["gone", "closed"]).await.0.unwrap_err().contains("connection refused"));
}

#[tokio::test]
async fn a_request_that_kills_servers_is_replayed_once() {
    let (body, calls) = through(&["dying", "dying-2", "dying-3", "good"]).await;
    assert!(body.unwrap_err().contains("dying-2 was lost during the response"));
    assert_eq!(calls, ["dying", "dying-2"]);
}

#[tokio::test]
async fn a_taken_port_is_refused_and_a_dropped_forward_closes_its_port() {
    let forward = Forward::start(Fake { pods: vec![], calls: Arc::default() }, 0).await.unwrap();
    let port = forward.address.port();
    let error = Forward::start(Fake { pods: vec![], calls: Arc::default() }, port).await.err().unwrap().sentence();
    assert!(error.contains("--port"), "{error}");
    drop(forward);
    for _ in 0..100 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("port {port} is still open");
}
