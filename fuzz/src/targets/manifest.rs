//! Manifests: a text that is not a valid job is an error, and servers accept every job and plan that the operator derives from a manifest.

use super::wire;
use crate::allocation::at_most;
use api::geometry::{Dtype, FrameSpec};
use api::phase::{BootId, Phase};
use api::plan::{Allowance, Budget, Plan};
use api::wire::{Assignment, Peer, Probed};
use operator::manifest;
use operator::validate::{Platform, check_outputs, needs_probe, replicas, set_probed, validate};

/// Bytes that a parser may use for each byte of a text, and for a text without bytes.
const PER_BYTE: usize = 4096;
const LEAST: usize = 4 << 20;

pub(super) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(mut job) = at_most(LEAST + PER_BYTE * text.len(), || manifest::parse(text)) else { return };
    let again = manifest::parse(&serde_json::to_string(&job).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&job).unwrap());
    if needs_probe(&job) && job.spec.source.zarr.is_none() {
        set_probed(&mut job, &Probed { frame: FrameSpec { height: 64, width: 48, dtype: Dtype::Uint8 }, array: None });
    }
    let servers = replicas(&job);
    let on_cluster = validate(&job, Platform::Cluster);
    let Ok(valid) = validate(&job, Platform::Local) else { return };
    if let Ok(on_cluster) = on_cluster {
        assert_eq!(on_cluster, valid, "a job on a cluster is the same job");
    }
    let Ok(servers) = servers else { return };
    // A plan has an entry for each server.
    for memory in [Allowance::PerServer(1 << 30), Allowance::PerServer(1 << 50), Allowance::Shared(4 << 30)] {
        let budget = Budget { memory, cores: 4 };
        let Ok(plan) = Plan::new(&valid, servers.map(|servers| servers.min(64)), &budget) else { continue };
        if check_outputs(&valid, &plan).is_err() {
            continue;
        }
        let peer = |number: usize| Some(Peer { address: "127.0.0.1:1".into(), boot: BootId(number.to_string()) });
        let peers = (0..plan.partition.servers).map(peer).collect();
        let assignment = Assignment { job: valid.clone(), plan, peers, goal: Phase::Fft };
        match assignment.check() {
            Ok(()) => wire::checked(&assignment),
            // The only bound of servers that a manifest does not have.
            Err(error) => assert!(error.to_string().contains("16 million objects"), "{error}: {text}"),
        }
    }
}
