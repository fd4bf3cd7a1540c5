//! Prints the objects that the operator creates for a manifest, as JSON documents of one YAML stream: for checkers, and for people who review
//! what would run. `cargo run -p operator --example objects -- crds/examples/cell.yaml NAMESPACE`

#![expect(clippy::print_stdout, clippy::expect_used, reason = "an example prints, and ends at the first error")]

use api::egress::EgressPolicy;
use operator::fleet::kubernetes::children;
use operator::fleet::kubernetes::pod::{Options, Start, Template, build, size};
use operator::identity::MasterKey;
use serde_json::{Value, to_value};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("the first argument is a manifest");
    let namespace = arguments.next().expect("the second argument is a namespace");
    let text = std::fs::read_to_string(&file).expect("the manifest is readable");
    let mut job = operator::manifest::parse(&text).expect("the manifest is valid");
    job.metadata.namespace = Some(namespace);
    job.metadata.uid = Some("00000000-0000-4000-8000-000000000000".into());
    let options = Options {
        image: "registry.example/arrayjob:0.1.0".into(),
        image_pull_policy: None,
        image_pull_secrets: Vec::new(),
        service_account: None,
        cpu: "1".into(),
        memory: "2Gi".into(),
        egress: EgressPolicy::default(),
        source_secrets: "*".parse().expect("all Secrets"),
    };
    let size = size(&job, &options).expect("the quantities are valid");
    let template = Template { options, size, scratch_bytes: 1 << 30 };
    let identities = MasterKey::new(&[7; 32]).identities("00000000-0000-4000-8000-000000000000").expect("certificates are derived");
    let objects: [Result<Value, _>; 4] = [
        to_value(build(&job, &template, Start::default()).expect("the fields for the scheduler are valid")),
        to_value(children::service(&job)),
        to_value(children::network_policy(&job, "arrayjob-system", &EgressPolicy::default())),
        to_value(children::secret(&job, &identities)),
    ];
    for object in objects {
        println!("---\n{}", object.expect("objects of Kubernetes are JSON"));
    }
}
