//! Listeners on loopback: in front of the API server, a Service, a pod, or a job.

use crate::http::{self, Answer};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that listens. Ended when dropped.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    /// `http://127.0.0.1:PORT`, and what was said behind it.
    pub url: String,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Forward {
    /// In front of the API server, with this user's rights.
    pub(super) fn to_api() -> Self {
        Self::kubectl(&["proxy", "--port=0"])
    }

    /// In front of a port of something in a namespace, as in `service/stack`.
    ///
    /// # Panics
    /// When kubectl ends instead, or takes too long.
    pub fn to(namespace: &str, target: &str, port: u16) -> Self {
        Self::kubectl(&["port-forward", "-n", namespace, target, &format!(":{port}")])
    }

    fn kubectl(arguments: &[&str]) -> Self {
        let mut command = Command::new("kubectl");
        command.args(arguments);
        Self::start(command)
    }

    /// Starts what says on standard output where it listens.
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let told = Arc::new(Mutex::new(String::new()));
        let (tell, address) = mpsc::channel();
        // Both are read to their end: it says a line for each connection.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(at) = line.find("127.0.0.1:") {
                    let _ = tell.send(line[at..].split(' ').next().unwrap_or_default().to_owned());
                }
            }
        });
        let telling = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                telling.lock().unwrap().push_str(&line);
            }
        });
        let mut forward = Self { child, url: String::new() };
        let address = address.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{command:?}: {}", told.lock().unwrap()));
        forward.url = format!("http://{address}");
        forward
    }

    /// The answer to a request; a connection that breaks is status 0.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::call(method, &format!("{}{path}", self.url), headers)
            .unwrap_or_else(|error| Answer { status: 0, body: error.to_string().into_bytes() })
    }
}

/// What reads a job's arrays: the front door, or one server, and the token.
#[derive(Debug)]
pub struct Reader {
    pub(super) forward: Forward,
    pub(super) token: String,
}

impl Reader {
    fn get(&self, path: &str) -> Answer {
        self.forward.call("GET", path, &[("Authorization", &format!("Bearer {}", self.token))])
    }

    /// A slice as .npy, as soon as it can be had: `power[:,10,10]`.
    ///
    /// # Panics
    /// When it cannot be had within `limit`.
    pub fn slice(&self, selection: &str, limit: Duration) -> Vec<u8> {
        let (array, items) = selection.split_once('[').unwrap_or((selection, ""));
        let path = format!("/slice/{array}?sel={}&format=npy", items.trim_end_matches(']'));
        super::until(&format!("{selection} can be had"), limit, || {
            let answer = self.get(&path);
            if answer.status == 200 { Ok(answer.body) } else { Err(format!("{} {}", answer.status, answer.text())) }
        })
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The answer's status without a token.
    pub fn without_token(&self, path: &str) -> u16 {
        self.forward.call("GET", path, &[]).status
    }
}
