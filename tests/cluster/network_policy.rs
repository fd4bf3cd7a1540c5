//! NetworkPolicies of a job and of the operator, on a network that enforces them.

use crate::common::{QUICK_MOVIE, STATUS_TIMEOUT, TIMEOUT, quick_job, quick_slices};
use tests::cluster::operator::{NAMESPACE, SELECTOR};
use tests::cluster::{MetadataService, PodNetwork, Stage, node, seconds, until};

/// Ports of a server: for peers and the operator, for readers, for metrics.
const PORTS: [u16; 3] = [7443, 8080, 9090];
/// The port of a movie.
const MOVIE: u16 = 8000;
/// The port of the operator's probes and metrics.
const OPERATOR_HTTP: u16 = 8080;

#[test]
fn a_server_is_reached_and_reaches_only_as_its_policy_states() {
    const NAME: &str = "a_server_is_reached_and_reaches_only_as_its_policy_states";
    let elsewhere = Stage::new("elsewhere");
    let stage = Stage::new("policy");
    let source = stage.movie(&QUICK_MOVIE);
    elsewhere.movie(&QUICK_MOVIE);
    let job = stage.start("guarded", &quick_job(&source.url));
    job.must_complete(TIMEOUT);
    job.until_ready(2, STATUS_TIMEOUT);
    let of = |namespace: &str, pod: &str| PodNetwork::of(namespace, pod);
    let (Some(server), Some(peer)) = (of(&stage.namespace, "guarded-0"), of(&stage.namespace, "guarded-1")) else {
        node::skip(NAME, "nodes are not local containers");
        stage.end();
        return elsewhere.end();
    };
    let neighbour = of(&stage.namespace, "-lapp=movie").unwrap();
    let stranger = of(&elsewhere.namespace, "-lapp=movie").unwrap();
    let operator = of(NAMESPACE, &format!("-l{SELECTOR}")).unwrap();

    // The network learns of pods and policies with a delay.
    until("the policy is enforced", seconds(20), || {
        let open = stranger.connects(&server.address, PORTS[0]);
        if open { Err("a stranger connects to the port for peers".into()) } else { Ok(()) }
    });
    let into = |from: &PodNetwork| PORTS.map(|port| from.connects(&server.address, port));
    assert_eq!(into(&stranger), [false, false, true], "from a pod of another namespace to the ports {PORTS:?}");
    assert_eq!(into(&neighbour), [false, true, true], "from a pod of the namespace to the ports {PORTS:?}");
    assert_eq!(into(&peer), [true, true, true], "from another server to the ports {PORTS:?}");
    assert_eq!(
        into(&operator),
        [true, false, false],
        "from the operator, whose own policy permits the port for peers, to the ports {PORTS:?}"
    );

    let metadata = MetadataService::start().unwrap();
    let to_metadata = |from: &PodNetwork| from.connects(MetadataService::ADDRESS, MetadataService::PORT);
    until("the metadata service responds", seconds(20), || if to_metadata(&stranger) { Ok(()) } else { Err(String::new()) });
    assert!(!to_metadata(&server), "a server connects to the metadata service");
    assert!(server.connects(&stranger.address, MOVIE), "a server does not connect to a source of another namespace");
    assert!(!operator.connects(&stranger.address, MOVIE) && !to_metadata(&operator), "the operator connects to a stranger");
    assert!(stranger.connects(&operator.address, OPERATOR_HTTP), "a pod does not connect to the operator's metrics");
    drop(metadata);

    quick_slices().must_equal(&job.reader());
    stage.end();
    elsewhere.end();
}
