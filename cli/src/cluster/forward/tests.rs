use super::*;
use crate::reader::Reader;

/// Pods by name: what becomes of a connection is in the name.
struct Fake {
    pods: Vec<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dial for Fake {
    async fn pods(&self) -> Result<Vec<String>, Trouble> {
        Ok(self.pods.iter().map(|pod| (*pod).to_owned()).collect())
    }

    async fn dial(&self, pod: &str) -> Result<Line, Trouble> {
        self.asked.lock().unwrap().push(pod.to_owned());
        if pod == "gone" {
            return Err(Trouble::now("pods \"gone\" not found"));
        }
        if pod == "forbidden" {
            return Err(Trouble::for_good("you may not"));
        }
        let (stream, mut far) = tokio::io::duplex(1 << 16);
        let (tell, told) = tokio::sync::oneshot::channel();
        let pod = pod.to_owned();
        tokio::spawn(async move {
            if pod == "closed" {
                let _ = tell.send("connect: connection refused".to_owned());
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
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            far.write_all(answer.as_bytes()).await.unwrap();
            // Waits for the next request, as a server does.
            let _ = far.read(&mut [0]).await;
            drop(tell);
        });
        Ok(Line { stream, trouble: async move { told.await.ok() }.boxed() })
    }

    fn answered(&self, pod: &str) {
        self.asked.lock().unwrap().push(format!("{pod} answered"));
    }
}

async fn through(pods: &[&'static str]) -> (Result<String, String>, Vec<String>) {
    let asked = Arc::default();
    let forward = Forward::start(Fake { pods: pods.to_vec(), asked: Arc::clone(&asked) }, 0).await.unwrap();
    let reader = Reader::new(&format!("http://{}/?token=t", forward.address)).unwrap();
    let answer = reader.slice("power", ":", "raw").await.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.sentence());
    let asked = asked.lock().unwrap().clone();
    (answer, asked)
}

#[tokio::test]
async fn another_pod_is_chosen_when_one_fails() {
    let (answer, asked) = through(&["gone", "closed", "dying", "good", "unasked"]).await;
    assert_eq!(answer.unwrap(), "good /slice/power?sel=%3A&format=raw");
    assert_eq!(asked, ["gone", "closed", "dying", "good", "good answered"]);
}

#[tokio::test]
async fn one_who_cannot_be_connected_is_told_why() {
    assert!(through(&[]).await.0.unwrap_err().contains("no server of the job is ready"));
    assert!(through(&["closed", "gone"]).await.0.unwrap_err().contains("pods \"gone\" not found"));
    assert!(through(&["forbidden"]).await.0.unwrap_err().contains("forbidden: you may not"));
    assert!(through(&["gone", "closed"]).await.0.unwrap_err().contains("connection refused"));
}

#[tokio::test]
async fn a_request_that_ends_servers_does_not_end_them_all() {
    let (answer, asked) = through(&["dying", "dying-2", "dying-3", "good"]).await;
    assert!(answer.unwrap_err().contains("dying-2 was lost while it answered"));
    assert_eq!(asked, ["dying", "dying-2"]);
}

#[tokio::test]
async fn a_taken_port_says_so_and_a_dropped_forward_is_closed() {
    let forward = Forward::start(Fake { pods: vec![], asked: Arc::default() }, 0).await.unwrap();
    let port = forward.address.port();
    let error = Forward::start(Fake { pods: vec![], asked: Arc::default() }, port).await.err().unwrap().sentence();
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
