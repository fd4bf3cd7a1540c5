use super::*;
use crate::manifest::parse;

fn options() -> Options {
    Options {
        image: "example.org/arrayjob/chunkserver:1".into(),
        image_pull_policy: Some("IfNotPresent".into()),
        image_pull_secrets: vec!["installers".into()],
        service_account: Some("arrayjob-server".into()),
        cpu: "1".into(),
        memory: "2Gi".into(),
        egress: EgressPolicy::default(),
        source_secrets: "*".parse().unwrap(),
    }
}

/// A job with these `servers`, and with more fields in its source.
fn job_of(servers: &str, source: &str) -> ArrayJob {
    let text = format!(
        "apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\n\
         metadata: {{name: stack, namespace: lab, uid: 0a1b2c3d-4e5f, labels: {{kueue.x-k8s.io/queue-name: imaging}}}}\n\
         spec: {{source: {{images: {{urlTemplate: 'http://h/{{index}}', count: 9}}{source}}}, servers: {{{servers}}}}}\n"
    );
    parse(&text).unwrap()
}

fn job(servers: &str) -> ArrayJob {
    job_of(servers, "")
}

fn template(job: &ArrayJob, scratch_bytes: u64) -> Template {
    Template { options: options(), size: size(job, &options()).unwrap(), scratch_bytes }
}

fn built(job: &ArrayJob) -> Result<Pod, Invalid> {
    build(job, &template(job, 0), Start { index: 3, counts: (2, 5), previous_end: None })
}

fn spec(servers: &str) -> PodSpec {
    built(&job(servers)).unwrap().spec.unwrap()
}

/// Requests and limits of CPU and memory, bytes and threads.
fn sized(servers: &str) -> ([Option<String>; 4], u64, usize) {
    let size = size(&job(servers), &options()).unwrap();
    let of = |map: &Option<BTreeMap<String, Quantity>>, name| map.as_ref().and_then(|map| map.get(name)).map(|quantity| quantity.0.clone());
    let (requests, limits) = (&size.resources.requests, &size.resources.limits);
    ([of(requests, "cpu"), of(requests, "memory"), of(limits, "cpu"), of(limits, "memory")], size.memory_bytes, size.threads)
}

#[test]
fn the_installation_sets_resources_that_the_manifest_omits() {
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        ("", [some("1"), some("2Gi"), None, some("2Gi")], 2 << 30, 1),
        ("resources: {limits: {memory: 8Gi}}", [some("1"), some("8Gi"), None, some("8Gi")], 8 << 30, 1),
        ("resources: {requests: {memory: 8Gi, cpu: 500m}}", [some("500m"), some("8Gi"), None, some("8Gi")], 8 << 30, 1),
        (
            "resources: {requests: {memory: 1Gi, cpu: '2'}, limits: {memory: 4Gi, cpu: '3.5'}}",
            [some("2"), some("1Gi"), some("3.5"), some("4Gi")],
            4 << 30,
            4,
        ),
        ("resources: {limits: {cpu: '8'}}", [some("8"), some("2Gi"), some("8"), some("2Gi")], 2 << 30, 8),
    ];
    for (servers, resources, bytes, threads) in cases {
        assert_eq!(sized(servers), (resources, bytes, threads), "{servers}");
    }
}

#[test]
fn an_invalid_quantity_names_its_field() {
    let cases = [
        ("resources: {limits: {memory: much}}", "spec.servers.resources.limits.memory: 'much' is not a quantity"),
        ("resources: {limits: {memory: '0'}}", "spec.servers.resources.limits.memory: '0' is not a quantity"),
        ("resources: {limits: {cpu: some}}", "spec.servers.resources.limits.cpu: 'some' is not a quantity"),
        ("resources: {requests: {cpu: '0'}}", "'0' is not a quantity"),
        ("resources: {requests: {cpu: '-1'}}", "'-1' is not a quantity"),
    ];
    for (servers, words) in cases {
        let error = size(&job(servers), &options()).unwrap_err().to_string();
        assert!(error.contains(words), "{servers}: {error}");
    }
}

#[test]
fn namespaces_with_the_restricted_standard_admit_the_pods() {
    let spec = spec("");
    let security = spec.security_context.clone().unwrap();
    assert_eq!((security.run_as_non_root, security.run_as_user), (Some(true), Some(65532)));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    assert_eq!((spec.host_network, spec.host_pid, spec.host_ipc), (None, None, None));
    assert!(spec.init_containers.is_none() && spec.containers.len() == 1);
    for container in &spec.containers {
        let security = container.security_context.clone().unwrap();
        assert_eq!((security.allow_privilege_escalation, security.privileged), (Some(false), None));
        assert_eq!((security.run_as_non_root, security.read_only_root_filesystem), (Some(true), Some(true)));
        let capabilities = security.capabilities.unwrap();
        assert_eq!((capabilities.drop, capabilities.add), (Some(vec!["ALL".to_owned()]), None));
        assert!(container.ports.iter().flatten().all(|port| port.host_port.is_none()));
    }
    assert!(spec.volumes.iter().flatten().all(|volume| volume.secret.is_some() || volume.empty_dir.is_some()), "{:?}", spec.volumes);
    assert_eq!(spec.automount_service_account_token, Some(false));
}

#[test]
fn a_pod_never_restarts_and_reports_its_last_log_line() {
    let spec = spec("");
    assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
    assert_eq!(spec.containers[0].termination_message_policy.as_deref(), Some("FallbackToLogsOnError"));
    assert_eq!(spec.containers[0].name, CONTAINER);
}

#[test]
fn name_owner_and_counts_follow_from_the_job() {
    let pod = built(&job("")).unwrap();
    assert_eq!((pod.metadata.name.as_deref(), pod.metadata.namespace.as_deref()), (Some("stack-3"), Some("lab")));
    let [owner] = &pod.metadata.owner_references.clone().unwrap()[..] else { panic!("one owner") };
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()), ("ArrayJob", "stack", "0a1b2c3d-4e5f"));
    assert_eq!((owner.controller, owner.api_version.as_str()), (Some(true), "arrayjob.dev/v1alpha1"));
    let annotations = pod.metadata.annotations.clone().unwrap();
    assert_eq!((annotations[names::FAILURES].as_str(), annotations[names::DISRUPTIONS].as_str()), ("2", "5"));
    assert_eq!(pod, built(&job("")).unwrap(), "the same job gives the same pod");
}

#[test]
fn labels_and_annotations_of_the_user_are_kept_and_never_override_those_of_the_operator() {
    let user = "labels: {team: a, arrayjob.dev/uid: forged, arrayjob.dev/server-index: '0', app.kubernetes.io/managed-by: me}, \
                annotations: {note: b, arrayjob.dev/failures: '0'}";
    let metadata = built(&job(user)).unwrap().metadata;
    let (labels, annotations) = (metadata.labels.unwrap(), metadata.annotations.unwrap());
    let expected = [
        ("team", "a"),
        ("arrayjob.dev/name", "stack"),
        ("arrayjob.dev/uid", "0a1b2c3d-4e5f"),
        ("arrayjob.dev/server-index", "3"),
        ("app.kubernetes.io/managed-by", "arrayjob-operator"),
        ("app.kubernetes.io/component", "chunk-server"),
        ("kueue.x-k8s.io/queue-name", "imaging"),
    ];
    for (key, value) in expected {
        assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!((annotations["note"].as_str(), annotations[names::FAILURES].as_str()), ("b", "2"));
    let watched: Vec<_> =
        names::all_servers().split(',').map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).unwrap()).collect();
    assert!(
        watched.iter().all(|(key, value)| labels.get(key) == Some(value)),
        "the selector of the operator's watch does not match the pod"
    );
}

#[test]
fn pods_leave_an_unreachable_node_after_ten_seconds_unless_the_user_sets_a_toleration() {
    let seconds = |servers: &str, taint: &str| -> Vec<Option<i64>> {
        let tolerations = spec(servers).tolerations.unwrap();
        tolerations.iter().filter(|one| one.key.as_deref() == Some(taint)).map(|one| one.toleration_seconds).collect()
    };
    let (unreachable, not_ready) = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready");
    assert_eq!((seconds("", unreachable), seconds("", not_ready)), (vec![Some(10)], vec![Some(10)]));
    let tolerant = "tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 600}, {key: gpu, operator: Exists}]";
    assert_eq!((seconds(tolerant, unreachable), seconds(tolerant, not_ready)), (vec![Some(600)], vec![Some(10)]));
    assert_eq!(seconds(tolerant, "gpu"), [None]);
}

#[test]
fn servers_spread_over_nodes_unless_the_user_sets_a_constraint() {
    let keys = |servers: &str| -> Vec<String> {
        spec(servers).topology_spread_constraints.unwrap().into_iter().map(|one| one.topology_key).collect()
    };
    assert_eq!(keys(""), ["kubernetes.io/hostname"]);
    let zones = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]";
    assert_eq!(keys(zones), ["topology.kubernetes.io/zone"]);
    let own = &spec("").topology_spread_constraints.unwrap()[0];
    assert_eq!(own.when_unsatisfiable, "ScheduleAnyway", "all servers may run on one node");
    assert_eq!(own.label_selector.clone().unwrap().match_labels.unwrap(), names::selector(&job("")));
}

#[test]
fn an_invalid_field_of_a_pod_names_its_field() {
    let cases = [
        ("affinity: {nodeAffinity: yes}", "spec.servers.affinity: "),
        ("tolerations: [{key: 3}]", "spec.servers.tolerations: "),
        ("topologySpreadConstraints: [{maxSkew: much}]", "spec.servers.topologySpreadConstraints: "),
    ];
    for (servers, words) in cases {
        let error = built(&job(servers)).unwrap_err().to_string();
        assert!(error.starts_with(words), "{servers}: {error}");
    }
}

#[test]
fn the_user_sets_the_scheduling() {
    let spec = spec(
        "nodeSelector: {disk: fast}, priorityClassName: high, imagePullSecrets: [{name: mine}], \
                     affinity: {podAntiAffinity: {}}",
    );
    assert_eq!(spec.node_selector.unwrap()["disk"], "fast");
    assert_eq!(spec.priority_class_name.as_deref(), Some("high"));
    assert!(spec.affinity.unwrap().pod_anti_affinity.is_some());
    let secrets: Vec<String> = spec.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
    assert_eq!(secrets, ["mine", "installers"]);
    assert_eq!(
        (spec.service_account_name.as_deref(), spec.containers[0].image.as_deref()),
        (Some("arrayjob-server"), Some("example.org/arrayjob/chunkserver:1"))
    );
}

#[test]
fn a_replacement_gets_the_end_of_the_server_before_it() {
    let variable = |previous_end| {
        let pod = build(&job(""), &template(&job(""), 0), Start { previous_end, ..Start::default() }).unwrap();
        let env = pod.spec.unwrap().containers.remove(0).env.unwrap();
        env.into_iter().find(|variable| variable.name == "ARRAYJOB_AFTER").and_then(|variable| variable.value)
    };
    assert_eq!(variable(None), None, "the first server has no predecessor");
    assert_eq!(variable(Some("OOMKilled: $(HOME) at $1")).as_deref(), Some("OOMKilled: $$(HOME) at $$1"), "`$` is escaped");
}

#[test]
fn scratch_is_ten_percent_larger_than_planned() {
    let limit = |bytes: u64| {
        let pod = build(&job(""), &template(&job(""), bytes), Start::default()).unwrap();
        let volumes = pod.spec.unwrap().volumes.unwrap();
        volumes.into_iter().find(|volume| volume.name == "scratch").unwrap().empty_dir.unwrap().size_limit.map(|limit| limit.0)
    };
    assert_eq!(limit(0), None, "a plan without disk has no limit");
    assert_eq!(limit(1000), Some("1100".into()));
    assert_eq!(limit(1 << 40), Some(((1u64 << 40) + (1u64 << 40) / 10).to_string()));
}

#[test]
fn the_secret_of_the_user_is_mounted_read_only_at_the_path_of_the_server() {
    let spec = built(&job_of("", ", secretRef: {name: creds}")).unwrap().spec.unwrap();
    let volume = spec.volumes.unwrap().into_iter().find(|volume| volume.name == "source").unwrap();
    assert_eq!(volume.secret.unwrap().secret_name.as_deref(), Some("creds"));
    let container = &spec.containers[0];
    let mount = container.volume_mounts.as_ref().unwrap().iter().find(|mount| mount.name == "source").unwrap();
    assert_eq!(mount.read_only, Some(true));
    let folder = container.env.as_ref().unwrap().iter().find(|env| env.name == "ARRAYJOB_SOURCE_DIR").unwrap();
    assert_eq!(folder.value.as_ref(), Some(&mount.mount_path));
    let without = self::spec("");
    assert!(without.volumes.unwrap().iter().all(|volume| volume.name != "source"));
    assert!(without.containers[0].env.as_ref().unwrap().iter().all(|env| env.name != "ARRAYJOB_SOURCE_DIR"));
}

#[test]
fn servers_are_told_what_the_plan_reckoned_with() {
    let spec = spec("resources: {limits: {cpu: '6'}}");
    let env: BTreeMap<_, _> = spec.containers[0].env.clone().unwrap().into_iter().map(|env| (env.name, env.value.unwrap())).collect();
    assert_eq!(env["ARRAYJOB_THREADS"], "6");
    assert_eq!(env["ARRAYJOB_PEER_PORT"], names::PEER_PORT.to_string());
    let tls = spec.volumes.unwrap().into_iter().find(|volume| volume.name == "tls").unwrap().secret.unwrap();
    assert_eq!(tls.secret_name, Some("stack-0a1b2c3d".into()), "the uid is in its name");
}

#[test]
fn the_environment_states_the_rules_of_the_installation() {
    let variables = |options: Options| {
        let job = job("");
        let template = Template { size: size(&job, &options).unwrap(), options, scratch_bytes: 0 };
        let pod = build(&job, &template, Start::default()).unwrap();
        let variables = pod.spec.unwrap().containers.remove(0).env.unwrap().into_iter();
        variables
            .filter(|variable| variable.name.contains("EGRESS"))
            .map(|variable| (variable.name, variable.value.unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(variables(options()), []);
    let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let egress = EgressPolicy { deny: rules(&["10.0.0.0/8", "*.internal"]), allow: rules(&["10.1.0.0/16"]) };
    let expected = [("ARRAYJOB_EGRESS_DENY", "10.0.0.0/8,*.internal"), ("ARRAYJOB_EGRESS_ALLOW", "10.1.0.0/16")];
    assert_eq!(variables(Options { egress, ..options() }), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn only_permitted_secrets_are_mounted() {
    let job = job_of("", ", secretRef: {name: camera}");
    let of = |names: &str| {
        let options = Options { source_secrets: names.parse().unwrap(), ..options() };
        build(&job, &Template { size: size(&job, &options).unwrap(), options, scratch_bytes: 0 }, Start::default()).map(|_| ())
    };
    assert!(of("*").is_ok() && of("camera").is_ok() && of("other,cam*").is_ok());
    let refusal = of("microscope").unwrap_err().to_string();
    assert!(refusal.contains("spec.source.secretRef") && refusal.contains("'camera'; permitted: microscope"), "{refusal}");
    assert!(of("").unwrap_err().to_string().contains("permitted: no Secret"));
}
