//! One forwarded connection, from its first byte to its end.

use super::dial::{Dial, DialError, PodStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Timeout of the API server's connection to a pod.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of the reason why a stream closed, which may arrive after the end of the stream.
const REASON_TIMEOUT: Duration = Duration::from_millis(200);
/// Timeout of the rest of a refused request.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest request that is sent to a second pod, in bytes.
const MAX_REPLAY_BYTES: usize = 64 << 10;
/// Number of times that a request is sent again after a pod was lost: the request may be the cause of the loss.
const MAX_REPLAYS: usize = 1;
/// Size of a buffer, in bytes.
const BUFFER: usize = 64 << 10;

/// Forwards one connection.
pub(super) async fn serve(mut client: TcpStream, dial: &impl Dial) {
    // Browsers open connections in advance; a pod is dialed when the first bytes of a request are here.
    let mut request = vec![0; BUFFER];
    let Ok(length @ 1..) = client.read(&mut request).await else { return };
    request.truncate(length);
    let error = match dial.pods().await {
        Ok(pods) if pods.is_empty() => DialError::unavailable("no server of the job is ready"),
        Ok(pods) => match first_responding(&mut client, &mut request, &pods, dial).await {
            Ok(pod) => return copy_both_ways(client, pod).await,
            Err(Some(error)) => error,
            Err(None) => return,
        },
        Err(error) => error,
    };
    tracing::debug!(?error, "cannot forward a connection");
    refuse(&mut client, &error).await;
}

/// The stream to the first pod that responds. The first bytes of the response are already sent to the client. The error is None
/// if the client is gone or has part of a response.
async fn first_responding(
    client: &mut TcpStream,
    request: &mut Vec<u8>,
    pods: &[String],
    dial: &impl Dial,
) -> Result<PodStream, Option<DialError>> {
    let mut last = DialError::unavailable("");
    let mut replays = 0;
    for pod in pods {
        let dialed = tokio::time::timeout(DIAL_TIMEOUT, dial.dial(pod)).await;
        let late = |_| Err(DialError::unavailable(format!("no connection within {} s", DIAL_TIMEOUT.as_secs())));
        let mut stream = match dialed.unwrap_or_else(late) {
            Ok(stream) => stream,
            Err(error) => {
                last = error.of_pod(pod);
                continue;
            }
        };
        match exchange(client, request, &mut stream).await {
            Exchange::Responded => {
                dial.responded(pod);
                return Ok(stream);
            }
            Exchange::ClientGone => return Err(None),
            Exchange::Refused(reason) => last = DialError::unavailable(reason).of_pod(pod),
            Exchange::PodLost => {
                last = DialError::bad_gateway(format!("{pod} was lost during the response; arrayjob report has its logs"));
                if request.len() > MAX_REPLAY_BYTES || replays >= MAX_REPLAYS {
                    break;
                }
                replays += 1;
            }
        }
    }
    Err(Some(last))
}

/// The start of an exchange with a pod.
enum Exchange {
    /// The client has the first bytes of the response.
    Responded,
    ClientGone,
    /// No process listens on the port: the pod did not see the request.
    Refused(String),
    PodLost,
}

/// Sends the request, and waits for the first bytes of the response.
async fn exchange(client: &mut TcpStream, request: &mut Vec<u8>, pod: &mut PodStream) -> Exchange {
    if pod.stream.write_all(request).await.is_err() {
        return Exchange::PodLost;
    }
    let mut more = vec![0; BUFFER];
    let mut response = vec![0; BUFFER];
    let mut no_error = false;
    loop {
        tokio::select! {
            // The API server reports an error before the end of the stream.
            biased;
            error = &mut pod.error, if !no_error => match error {
                Some(error) if error.contains("refused") => return Exchange::Refused(error),
                Some(_) => return Exchange::PodLost,
                None => no_error = true,
            },
            read = pod.stream.read(&mut response) => return match read {
                Ok(length @ 1..) if client.write_all(&response[..length]).await.is_ok() => Exchange::Responded,
                Ok(1..) => Exchange::ClientGone,
                _ if no_error => Exchange::PodLost,
                _ => match tokio::time::timeout(REASON_TIMEOUT, &mut pod.error).await {
                    Ok(Some(error)) if error.contains("refused") => Exchange::Refused(error),
                    _ => Exchange::PodLost,
                },
            },
            read = client.read(&mut more) => match read {
                Ok(length @ 1..) => {
                    request.extend_from_slice(&more[..length]);
                    if pod.stream.write_all(&more[..length]).await.is_err() {
                        return Exchange::PodLost;
                    }
                }
                _ => return Exchange::ClientGone,
            },
        }
    }
}

/// Copies bytes in both directions until one side ends.
async fn copy_both_ways(client: TcpStream, pod: PodStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_pod, mut to_pod) = tokio::io::split(pod.stream);
    // `to_pod` is not shut down: the port-forward would close both directions before the response is complete.
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_pod) => {}
        _ = tokio::io::copy(&mut from_pod, &mut to_client) => {}
    }
    let _ = to_client.shutdown().await;
}

/// Sends an HTTP response with the reason. Clients retry after 503.
async fn refuse(client: &mut TcpStream, error: &DialError) {
    let body = serde_json::json!({"error": error.reason}).to_string();
    let head = "Retry-After: 2\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let response = format!("HTTP/1.1 {}\r\n{head}Content-Length: {}\r\n\r\n{body}", error.status, body.len());
    let _ = client.write_all(response.as_bytes()).await;
    let _ = client.shutdown().await;
    // A socket that closes with unread bytes resets the connection, and the client loses the response.
    let mut rest = [0; 1024];
    let drain = async { while matches!(client.read(&mut rest).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain).await;
}
