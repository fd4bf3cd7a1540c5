//! Processes that listen on loopback and forward to the API server, a Service, a pod or a job.

use crate::http::{self, Response};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Time limit for the start of the listener.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A process that listens. Dropping the value kills the process.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    /// `http://127.0.0.1:PORT`, with the path and query that the process printed.
    pub url: String,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Forward {
    /// Forwards to the API server, with the rights of the current user.
    pub(super) fn to_api() -> Self {
        Self::kubectl(&["proxy", "--port=0"])
    }

    /// Forwards to a port of a target in a namespace, such as `service/stack`.
    ///
    /// # Panics
    /// When kubectl ends, or after the timeout.
    pub fn to(namespace: &str, target: &str, port: u16) -> Self {
        Self::kubectl(&["port-forward", "-n", namespace, target, &format!(":{port}")])
    }

    fn kubectl(arguments: &[&str]) -> Self {
        let mut command = Command::new("kubectl");
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a command that prints its address on standard output.
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let errors = Arc::new(Mutex::new(String::new()));
        let (sender, address) = mpsc::channel();
        // Both pipes are read to their end, because the process writes a line for each connection.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(at) = line.find("127.0.0.1:") {
                    let _ = sender.send(line[at..].split(' ').next().unwrap_or_default().to_owned());
                }
            }
        });
        let writer = Arc::clone(&errors);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.lock().unwrap().push_str(&line);
            }
        });
        let mut forward = Self { child, url: String::new() };
        let address = address.recv_timeout(START_TIMEOUT).unwrap_or_else(|_| panic!("{command:?}: {}", errors.lock().unwrap()));
        forward.url = format!("http://{address}");
        forward
    }

    /// Sends a request; a failed connection is a response with status 0.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        http::call(method, &format!("{}{path}", self.url), headers)
            .unwrap_or_else(|error| Response { status: 0, body: error.to_string().into_bytes() })
    }
}

/// A reader of a job's arrays: a forwarded Service or pod, and the token.
#[derive(Debug)]
pub struct Reader {
    pub(super) forward: Forward,
    pub(super) token: String,
}

impl Reader {
    fn get(&self, path: &str) -> Response {
        self.forward.call("GET", path, &[("Authorization", &format!("Bearer {}", self.token))])
    }

    /// Waits for a slice such as `power[:,10,10]`; returns it as .npy.
    ///
    /// # Panics
    /// When the slice is not available within `limit`.
    pub fn slice(&self, selection: &str, limit: Duration) -> Vec<u8> {
        let (array, items) = selection.split_once('[').unwrap_or((selection, ""));
        let path = format!("/slice/{array}?sel={}&format=npy", items.trim_end_matches(']'));
        super::until(&format!("{selection} is available"), limit, || {
            let response = self.get(&path);
            if response.status == 200 { Ok(response.body) } else { Err(format!("{} {}", response.status, response.text())) }
        })
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The status code of a request without a token.
    pub fn without_token(&self, path: &str) -> u16 {
        self.forward.call("GET", path, &[]).status
    }
}
