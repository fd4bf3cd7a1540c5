//! The fleet over shell scripts in the place of chunk servers.

use super::*;
use tokio::time::timeout;

const READY: &str = r#"read -r settings; echo '{"address":"127.0.0.1:1","boot":"b"}'; "#;
/// Ends when its input is closed.
const SERVE: &str = "exec cat > /dev/null";

fn fleet(script: &str) -> ProcessFleet {
    let command = ["sh", "-c", script].map(PathBuf::from).to_vec();
    of(command)
}

fn of(command: Vec<PathBuf>) -> ProcessFleet {
    ProcessFleet::new(Options {
        command,
        key: "k".into(),
        command_key: "c".into(),
        threads: 1,
        scratch: None,
        planned_bytes: 1 << 20,
        oom_kills: || None,
    })
}

/// Observes one server until `is` is true.
async fn until(fleet: &ProcessFleet, is: impl Fn(&ServerState) -> bool) -> ServerState {
    let observed = timeout(Duration::from_secs(10), async {
        loop {
            let state = fleet.observe(1).await.remove(0);
            if is(&state) {
                return state;
            }
            fleet.until_changed().await;
        }
    });
    observed.await.unwrap()
}

async fn end(script: &str) -> ServerState {
    let fleet = fleet(script);
    fleet.ensure(&[ServerId(0)]).await.unwrap();
    until(&fleet, |state| matches!(state, ServerState::Exited(_))).await
}

fn exited(text: &str) -> ServerState {
    ServerState::Exited(text.into())
}

#[tokio::test]
async fn a_server_that_ends_before_its_first_line_has_exited_with_its_real_end() {
    assert_eq!(end("kill -9 $$").await, exited("killed by signal 9, perhaps for lack of memory"));
    assert_eq!(end("kill -ABRT $$").await, exited("killed by signal 6 (SIGABRT)"));
    assert_eq!(end("exit 3").await, exited("exit code 3"));
    assert_eq!(end("read -r settings; echo something else; exit 4").await, exited("exit code 4"));
}

#[tokio::test]
async fn an_end_before_the_first_line_counts_as_a_restart() {
    let fleet = fleet("exit 3");
    for restarts in 0..3 {
        fleet.ensure(&[ServerId(0)]).await.unwrap();
        until(&fleet, |state| *state == exited("exit code 3")).await;
        assert_eq!(fleet.restarts(), restarts);
    }
}

#[tokio::test]
async fn a_slow_start_does_not_block_the_other_servers() {
    let folder = tempfile::tempdir().unwrap();
    // The first process to create the folder is slow.
    let first = folder.path().join("first");
    let fleet = fleet(&format!("mkdir {} 2> /dev/null && exec sleep 60; {READY} {SERVE}", first.display()));
    fleet.ensure(&[ServerId(0)]).await.unwrap();
    timeout(Duration::from_secs(10), async {
        while !first.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    fleet.ensure(&[ServerId(1)]).await.unwrap();
    let up = ServerState::Up("127.0.0.1:1".into());
    let states = timeout(Duration::from_secs(10), async {
        loop {
            let states = fleet.observe(2).await;
            if states[1] != ServerState::Starting {
                return states;
            }
            fleet.until_changed().await;
        }
    });
    assert_eq!(states.await.unwrap(), [ServerState::Starting, up]);
    timeout(Duration::from_secs(2), fleet.remove()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_reports_no_address_in_time_is_killed_and_has_exited() {
    let mut fleet = fleet("exec sleep 60");
    fleet.start_timeout = Duration::from_secs(1);
    fleet.ensure(&[ServerId(0)]).await.unwrap();
    let state = until(&fleet, |state| *state != ServerState::Starting).await;
    assert_eq!(state, exited("it did not report its address within 1 s"));
}

#[tokio::test]
async fn the_end_of_a_server_is_noticed_at_once() {
    let fleet = fleet(&format!("{READY} sleep 0.2; exit 5"));
    fleet.ensure(&[ServerId(0)]).await.unwrap();
    until(&fleet, |state| matches!(state, ServerState::Up(_))).await;
    timeout(Duration::from_secs(2), fleet.until_changed()).await.unwrap();
    assert_eq!(fleet.observe(1).await, [exited("exit code 5")]);
}

#[tokio::test]
async fn all_servers_continue_the_clock_of_the_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    let mut fleet = fleet(&format!("read -r settings; echo \"$settings\" > {}; exit 0", file.display()));
    // A system clock that was one day ahead when the fleet started.
    fleet.clock.1 += 86_400_000;
    fleet.ensure(&[ServerId(0)]).await.unwrap();
    until(&fleet, |state| matches!(state, ServerState::Exited(_))).await;
    let startup: Startup = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let elapsed = startup.unix_ms.unwrap() - fleet.clock.1;
    assert!(elapsed < 60_000, "{elapsed} ms after the start");
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_reported_by_its_path() {
    let error = of(vec!["/no/such/program".into()]).ensure(&[ServerId(0)]).await.unwrap_err().to_string();
    assert_eq!(error, "cannot start server 0: the program /no/such/program does not exist; install arrayjob again");
}

#[tokio::test]
async fn a_refusal_that_may_pass_is_retried_before_it_fails_the_job() {
    let fleet = fleet(SERVE);
    let errno = |errno: nix::errno::Errno| std::io::Error::from_raw_os_error(errno as i32);
    let [full, denied] = [nix::errno::Errno::EMFILE, nix::errno::Errno::EACCES].map(errno);
    assert!(fleet.may_retry(&full) && !fleet.may_retry(&denied));
    *fleet.refused_since.lock().unwrap() = Instant::now().checked_sub(START_TIMEOUT);
    assert!(!fleet.may_retry(&full));
    let text = Error::Start { id: ServerId(1), program: "arrayjob".into(), cause: full }.to_string();
    assert!(text.contains("ulimit -n"), "{text}");
}
