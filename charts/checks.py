"""Checks of both charts with many values. charts/test starts this program, which requires only the standard library and helm."""

import base64
import json
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

CHARTS = Path(__file__).resolve().parent
REPOSITORY = CHARTS.parent
OPERATOR, CRDS = CHARTS / "arrayjob", CHARTS / "arrayjob-crds"
CRD_SOURCE = REPOSITORY / "crds" / "arrayjobs.yaml"
NAMESPACE = "arrayjob-system"
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}

# Every optional value, changed from its default.
EVERYTHING = {
    "fullnameOverride": "images-operator",
    "commonLabels": {"team": "imaging", "app.kubernetes.io/name": "ignored"},
    "image": {"repository": "mirror:5000/tools/arrayjob", "tag": "1.2.3", "digest": "sha256:" + "a" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "servers": {
        "image": {"repository": "mirror:5000/tools/servers", "tag": "1.2.4", "digest": "sha256:" + "b" * 64, "pullPolicy": "Never"},
        "resources": {"cpu": 0.5, "memory": "512Mi"},
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}],
        "serviceAccountName": "servers",
        "networkPolicies": False,
        "egress": {"deny": ["10.0.0.0/8", "fd00::/8", "*.internal"], "allow": ["10.1.0.0/16", "images.example.org"]},
        "sourceSecrets": ["camera", "images-*"],
    },
    "serviceAccount": {"name": "images", "annotations": {"a": "b"}},
    "replicas": 3,
    "logLevel": "kube=debug,info",
    "listen": {"address": "0.0.0.0", "port": 9090},
    "extraArgs": ["--another={{ brace }}"],
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "podLabels": {"pod": "label", "app.kubernetes.io/component": "ignored"},
    "podAnnotations": {"pod": "annotation"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "system-cluster-critical",
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {}}],
        "apiServerPorts": [16443],
        "apiServerCIDRs": ["10.0.0.1/32", "fd00::1/128"],
        "extraEgress": [{"ports": [{"port": 9999}]}],
    },
    "service": {"annotations": {"a": "b"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "relabelings": [{"action": "labeldrop", "regex": "x"}]},
    "podMonitor": {"enabled": True, "relabelings": [{"action": "labeldrop", "regex": "x"}], "metricRelabelings": [{"action": "keep"}]},
    "dashboard": {"enabled": True, "namespace": "grafana", "annotations": {"grafana_folder": "Images"}},
}

# Renderings for which all invariants hold.
RENDERINGS = {
    "the defaults": {},
    "everything": EVERYTHING,
    "one namespace": {"rbac": {"scope": "namespace"}},
    "another namespace": {"rbac": {"scope": "namespace"}, "watchNamespace": "lab"},
    "everything in one namespace": EVERYTHING | {"rbac": {"scope": "namespace"}, "watchNamespace": "lab"},
    "three replicas": {"replicas": 3},
    "no replicas": {"replicas": 0},
    "no leader election": {"leaderElection": {"enabled": False}},
    "monitors and dashboard": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}, "dashboard": {"enabled": True}},
    "no policies": {"networkPolicy": {"enabled": False}, "servers": {"networkPolicies": False}, "podDisruptionBudget": {"enabled": False}},
    "permissions from elsewhere": {"rbac": {"create": False}, "serviceAccount": {"create": False, "name": "theirs"}},
    "no secrets and few addresses": {"servers": {"egress": {"deny": ["0.0.0.0/0", "::/0"], "allow": ["192.0.2.7"]}, "sourceSecrets": []}},
    "no roles for users": {"rbac": {"userRoles": False}},
    "user ids from the cluster": {"podSecurityContext": {"runAsUser": None, "runAsGroup": None}},
    "as a dependency": {"global": {"anything": True}},
}

# Values that helm must refuse, and a word of the error.
REFUSALS = [
    (OPERATOR, {"replica": 2}, "replica"),
    (OPERATOR, {"image": {"name": "x"}}, "name"),
    (OPERATOR, {"image": {"repository": ""}}, "repository"),
    (OPERATOR, {"image": {"repository": "https://host/arrayjob"}}, "repository"),
    (OPERATOR, {"image": {"tag": "a b"}}, "tag"),
    (OPERATOR, {"image": {"digest": "sha256:short"}}, "digest"),
    (OPERATOR, {"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    (OPERATOR, {"imagePullSecrets": ["pull"]}, "imagePullSecrets"),
    (OPERATOR, {"servers": {"replicas": 2}}, "replicas"),
    (OPERATOR, {"servers": {"resources": {"memory": "much"}}}, "memory"),
    (OPERATOR, {"servers": {"resources": {"cpu": 0}}}, "cpu"),
    (OPERATOR, {"servers": {"imagePullSecrets": [{"nam": "x"}]}}, "name"),
    (OPERATOR, {"servers": {"egress": {"deny": ["10.0.0/8"]}}}, "deny"),
    (OPERATOR, {"servers": {"egress": {"deny": ["http://host/"]}}}, "deny"),
    (OPERATOR, {"servers": {"egress": {"allow": ["a b"]}}}, "allow"),
    (OPERATOR, {"servers": {"egress": {"only": ["10.0.0.0/8"]}}}, "only"),
    (OPERATOR, {"servers": {"sourceSecrets": ["a,b"]}}, "sourceSecrets"),
    (OPERATOR, {"servers": {"sourceSecrets": "camera"}}, "sourceSecrets"),
    (OPERATOR, {"rbac": {"scope": "galaxy"}}, "scope"),
    (OPERATOR, {"watchNamespace": "lab"}, "rbac.scope=namespace"),
    (OPERATOR, {"rbac": {"scope": "namespace"}, "watchNamespace": "Lab_1"}, "watchNamespace"),
    (OPERATOR, {"replicas": -1}, "replicas"),
    (OPERATOR, {"replicas": "two"}, "replicas"),
    (OPERATOR, {"replicas": 2, "leaderElection": {"enabled": False}}, "replicas must be 1"),
    (OPERATOR, {"leaderElection": False}, "leaderElection"),
    (OPERATOR, {"listen": {"port": 0}}, "port"),
    (OPERATOR, {"listen": {"address": "::"}}, "address"),
    (OPERATOR, {"extraArgs": [1]}, "extraArgs"),
    (OPERATOR, {"podLabels": {"a": "no blanks"}}, "podLabels"),
    (OPERATOR, {"podLabels": {"a": True}}, "podLabels"),
    (OPERATOR, {"networkPolicy": {"apiServerPorts": []}}, "apiServerPorts"),
    (OPERATOR, {"networkPolicy": {"apiServerCIDRs": ["10.0.0.1"]}}, "apiServerCIDRs"),
    (OPERATOR, {"serviceMonitor": {"interval": "often"}}, "interval"),
    (OPERATOR, {"dashboards": {"enabled": True}}, "dashboards"),
    (CRDS, {"keep": "yes"}, "keep"),
    (CRDS, {"crds": {"enabled": True}}, "crds"),
    (CRDS, {"labels": {"a": 1}}, "labels"),
]

# Helm parses the rendered YAML, because the standard library has no YAML parser. base64 prevents a second parse.
READER = """{{- range $i, $document := splitList "\\n---" (.Files.Get "rendered.yaml") }}
{{- $object := fromYaml $document }}
{{- if $object }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: object-{{ $i }}
data:
  json: {{ $object | toJson | b64enc }}
{{- end }}
{{- end }}
"""


class Refused(Exception):
    """Helm refused the chart or its values."""


def helm(*arguments):
    done = subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done.stdout


def read(text):
    """Parses YAML text to its objects."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder)
        (chart / "templates").mkdir()
        (chart / "Chart.yaml").write_text("{apiVersion: v2, name: reader, version: 0.0.0}")
        (chart / "templates" / "objects.yaml").write_text(READER)
        (chart / "rendered.yaml").write_text(text)
        lines = helm("template", "reader", chart).splitlines()
    objects = [json.loads(base64.b64decode(line.split()[1])) for line in lines if line.startswith("  json: ")]
    assert not any("Error" in one for one in objects), [one["Error"] for one in objects if "Error" in one]
    return objects


def with_values(values, call):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        return call("--values", file.name)


def render(chart, values, *more):
    release = chart.name
    return read(with_values(values, lambda *given: helm("template", release, chart, "--namespace", NAMESPACE, *given, *more)))


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def only(objects, kind, name=None):
    found = [one for one in of_kind(objects, kind) if name in (None, one["metadata"]["name"])]
    assert len(found) == 1, f"expected one {kind} {name or ''}, found {len(found)}"
    return found[0]


def kinds(objects):
    return {one["kind"] for one in objects}


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def arguments(objects):
    return only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]


def programs_version():
    return re.search(r'(?ms)^\[workspace\.package\].*?^version = "(.*?)"$', (REPOSITORY / "Cargo.toml").read_text())[1]


# Invariants of every rendering.


def objects_are_named_and_labelled(objects):
    seen = set()
    for one in objects:
        metadata = one["metadata"]
        identity = (one["kind"], metadata.get("namespace"), metadata["name"])
        assert identity not in seen, f"two objects have the identity {identity}"
        seen.add(identity)
        assert ("namespace" in metadata) == (one["kind"] not in CLUSTER_WIDE), f"namespace of {identity}"
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", metadata["name"]) and len(metadata["name"]) <= 253, identity
        labels = metadata["labels"]
        for key in ("name", "instance", "component", "part-of", "version", "managed-by"):
            assert labels.get(f"app.kubernetes.io/{key}"), f"{identity} has no label {key}"
        assert labels["app.kubernetes.io/name"] == "arrayjob", identity


def pods_fit_the_restricted_standard(objects):
    workloads = [one for one in objects if "template" in one.get("spec", {})]
    assert workloads
    for one in workloads:
        pod = one["spec"]["template"]["spec"]
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            assert not pod.get(field), field
        allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
        for volume in pod.get("volumes", []):
            assert set(volume) - {"name"} <= allowed, volume
        of_pod = pod["securityContext"]
        assert of_pod["runAsNonRoot"] is True and of_pod.get("runAsUser") != 0
        assert of_pod["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
        for container in pod.get("initContainers", []) + pod["containers"]:
            of_container = container["securityContext"]
            assert of_container["allowPrivilegeEscalation"] is False
            assert not of_container.get("privileged")
            assert of_container["readOnlyRootFilesystem"] is True
            assert of_container["capabilities"]["drop"] == ["ALL"] and "add" not in of_container["capabilities"]
            assert of_container.get("runAsNonRoot", True) and of_container.get("runAsUser") != 0
            assert not any("hostPort" in port for port in container.get("ports", []))
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
            assert re.search(r":[^/]+$", container["image"]) and not container["image"].endswith(":latest"), container["image"]


def permissions_are_minimal(objects):
    for one in of_kind(objects, "ClusterRole") + of_kind(objects, "Role"):
        name = one["metadata"]["name"]
        for rule in one["rules"]:
            words = rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert "*" not in words, f"{name}: {rule}"
            assert not {"escalate", "bind", "impersonate"} & set(words), f"{name}: {rule}"
            assert not {"pods/exec", "pods/attach", "pods/portforward", "serviceaccounts/token"} & set(words), f"{name}: {rule}"
            assert "nonResourceURLs" not in rule, name
            if "secrets" in rule["resources"] and {"get", "list", "watch", "patch", "update"} & set(rule["verbs"]):
                assert one["kind"] == "Role" and rule.get("resourceNames") == ["arrayjob-operator-key"], f"{name}: {rule}"
                assert rule["verbs"] == ["get"], f"{name}: {rule}"


def bindings_bind_the_operator(objects):
    account = only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    for one in of_kind(objects, "ClusterRoleBinding") + of_kind(objects, "RoleBinding"):
        role = only(objects, one["roleRef"]["kind"], one["roleRef"]["name"])
        assert role["metadata"].get("namespace") == one["metadata"].get("namespace")
        assert one["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
    for one in of_kind(objects, "ServiceAccount"):
        assert one["metadata"]["name"] == account and one["automountServiceAccountToken"] is False


def selectors_select_the_operator(objects):
    deployment = only(objects, "Deployment")
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    assert selects(deployment["spec"]["selector"]["matchLabels"], labels)
    service = only(objects, "Service")
    assert selects(service["spec"]["selector"], labels)
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for one in of_kind(objects, "NetworkPolicy"):
        assert selects(one["spec"]["podSelector"]["matchLabels"], labels)
        assert set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    for one in of_kind(objects, "PodDisruptionBudget"):
        assert selects(one["spec"]["selector"]["matchLabels"], labels)
        assert one["spec"]["maxUnavailable"] == 1 and deployment["spec"]["replicas"] > 1, "the budget must permit a drain of a node"
    for one in of_kind(objects, "ServiceMonitor"):
        assert selects(one["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        assert one["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    for one in of_kind(objects, "PodMonitor"):
        assert not selects(one["spec"]["selector"]["matchLabels"], labels), "the selector of chunk servers must not match the operator"
        assert one["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "arrayjob", "app.kubernetes.io/component": "chunk-server"}
    for probe in ("livenessProbe", "readinessProbe"):
        assert template["spec"]["containers"][0][probe]["httpGet"]["port"] in ports


def the_operator_chart_has_no_definition(objects):
    assert not of_kind(objects, "CustomResourceDefinition"), "an uninstall of the operator would delete every ArrayJob"


INVARIANTS = [
    objects_are_named_and_labelled,
    pods_fit_the_restricted_standard,
    permissions_are_minimal,
    bindings_bind_the_operator,
    selectors_select_the_operator,
    the_operator_chart_has_no_definition,
]

# Statements on single renderings.


def the_permissions_of_the_operator_are_exact():
    """All rules of the roles. A changed permission requires a change here."""
    objects = render(OPERATOR, {})
    rules = {
        f"{resource}{':' + ','.join(rule['resourceNames']) if 'resourceNames' in rule else ''}": rule["verbs"]
        for role in (only(objects, "ClusterRole", "arrayjob-operator"), only(objects, "Role", "arrayjob-operator-own"))
        for rule in role["rules"]
        for resource in [f"{role['kind']} {rule['apiGroups'][0]}/{rule['resources'][0]}"]
    }
    assert rules == {
        "ClusterRole arrayjob.dev/arrayjobs": ["get", "list", "watch"],
        "ClusterRole arrayjob.dev/arrayjobs/status": ["get", "patch"],
        "ClusterRole arrayjob.dev/arrayjobs/finalizers": ["update"],
        "ClusterRole /pods": ["get", "list", "watch", "create", "delete"],
        "ClusterRole /services": ["get", "create", "patch"],
        "ClusterRole /secrets": ["create"],
        "ClusterRole networking.k8s.io/networkpolicies": ["create", "patch"],
        "ClusterRole events.k8s.io/events": ["create", "patch"],
        "Role coordination.k8s.io/leases": ["create"],
        "Role coordination.k8s.io/leases:arrayjob-operator": ["get", "update", "patch"],
        "Role /secrets": ["create"],
        "Role /secrets:arrayjob-operator-key": ["get"],
    }, rules


def the_defaults_install_a_restricted_operator_for_all_namespaces():
    objects = render(OPERATOR, {})
    expected = {"Deployment", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service", "NetworkPolicy"}
    assert kinds(objects) == expected, kinds(objects)
    deployment = only(objects, "Deployment", "arrayjob-operator")
    only(objects, "ServiceAccount", "arrayjob-operator")
    version = programs_version()
    assert deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    assert arguments(objects) == [
        "--listen=[::]:8080",
        f"--server-image=arrayjob/arrayjob:{version}",
        "--server-image-pull-policy=IfNotPresent",
        "--server-cpu=1",
        "--server-memory=2Gi",
        "--source-secrets=*",
    ], arguments(objects)
    environment = {one["name"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment == {"POD_NAMESPACE", "POD_NAME", "RUST_LOG"}
    to_servers = only(objects, "NetworkPolicy")["spec"]["egress"][2]
    assert to_servers["ports"] == [{"port": 7443, "protocol": "TCP"}] and to_servers["to"][0]["namespaceSelector"] == {}
    view = only(objects, "ClusterRole", "arrayjob-view")["metadata"]["labels"]
    edit = only(objects, "ClusterRole", "arrayjob-edit")["metadata"]["labels"]
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    assert view[f"{prefix}view"] == edit[f"{prefix}edit"] == edit[f"{prefix}admin"] == "true" and f"{prefix}view" not in edit


def every_value_has_an_effect():
    objects = render(OPERATOR, EVERYTHING)
    assert arguments(objects) == [
        "--listen=0.0.0.0:9090",
        f"--server-image=mirror:5000/tools/servers:1.2.4@sha256:{'b' * 64}",
        "--server-image-pull-policy=Never",
        "--server-cpu=0.5",
        "--server-memory=512Mi",
        "--server-image-pull-secret=one",
        "--server-image-pull-secret=two",
        "--server-service-account=servers",
        "--egress-deny=10.0.0.0/8",
        "--egress-deny=fd00::/8",
        "--egress-deny=*.internal",
        "--egress-allow=10.1.0.0/16",
        "--egress-allow=images.example.org",
        "--source-secrets=camera,images-*",
        "--no-network-policies",
        "--another={{ brace }}",
    ], arguments(objects)
    deployment = only(objects, "Deployment", "images-operator")
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert deployment["spec"]["replicas"] == 3 and of_kind(objects, "PodDisruptionBudget")
    assert container["image"] == f"mirror:5000/tools/arrayjob:1.2.3@sha256:{'a' * 64}" and container["imagePullPolicy"] == "Always"
    assert pod["serviceAccountName"] == "images" and container["ports"][0]["containerPort"] == 9090
    assert {"name": "RUST_LOG", "value": "kube=debug,info"} in container["env"] and {"name": "TZ", "value": "UTC"} in container["env"]
    for field in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[field] == EVERYTHING[field], field
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    [spread] = pod["topologySpreadConstraints"]
    assert spread["maxSkew"] == 1 and selects(spread["labelSelector"]["matchLabels"], labels)
    assert labels["team"] == "imaging" and labels["pod"] == "label" and labels["app.kubernetes.io/component"] == "operator"
    egress = only(objects, "NetworkPolicy")["spec"]["egress"]
    assert egress[0]["ports"] == [{"port": 16443, "protocol": "TCP"}] and len(egress[0]["to"]) == 2 and egress[3]["ports"] == [{"port": 9999}]
    assert not any("networkpolicies" in rule["resources"] for rule in only(objects, "ClusterRole", "images-operator")["rules"])
    assert only(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"
    assert len(only(objects, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["relabelings"]) == 2
    assert only(objects, "ConfigMap")["metadata"]["namespace"] == "grafana"


def the_installation_may_close_all_addresses_and_secrets():
    given = arguments(render(OPERATOR, RENDERINGS["no secrets and few addresses"]))
    for expected in ("--egress-deny=0.0.0.0/0", "--egress-deny=::/0", "--egress-allow=192.0.2.7", "--source-secrets="):
        assert expected in given, given


def one_namespace_needs_no_cluster_wide_object():
    for values, watched in ((RENDERINGS["one namespace"], NAMESPACE), (RENDERINGS["everything in one namespace"], "lab")):
        objects = render(OPERATOR, values)
        assert not kinds(objects) & CLUSTER_WIDE, kinds(objects)
        assert f"--watch-namespace={watched}" in arguments(objects)
        name = only(objects, "Deployment")["metadata"]["name"]
        assert only(objects, "Role", name)["metadata"]["namespace"] == watched
        assert only(objects, "Role", f"{name}-own")["metadata"]["namespace"] == NAMESPACE
        assert only(objects, "Role", "arrayjob-edit")["metadata"]["namespace"] == watched
        to_servers = only(objects, "NetworkPolicy")["spec"]["egress"][2]["to"][0]
        assert to_servers["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": watched}}
        for monitor in of_kind(objects, "PodMonitor"):
            assert monitor["spec"]["namespaceSelector"] == {"matchNames": [watched]}


def without_leader_election_an_update_stops_the_operator_first():
    objects = render(OPERATOR, RENDERINGS["no leader election"])
    assert only(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert "--no-leader-election" in arguments(objects)
    assert not any("leases" in rule["resources"] for role in of_kind(objects, "Role") for rule in role["rules"])


def servers_run_the_selected_image():
    for image, expected in (
        ({}, "one/two:3@sha256:" + "a" * 64),
        ({"tag": "4"}, "one/two:4"),
        ({"repository": "five"}, "five:3"),
        ({"digest": "sha256:" + "b" * 64}, "one/two:3@sha256:" + "b" * 64),
    ):
        values = {"image": {"repository": "one/two", "tag": "3", "digest": "sha256:" + "a" * 64}, "servers": {"image": image}}
        assert f"--server-image={expected}" in arguments(render(OPERATOR, values)), image


def names_follow_the_release():
    for release, expected in (
        ("arrayjob", "arrayjob-operator"),
        ("arrayjob-operator", "arrayjob-operator"),
        ("lab", "lab-arrayjob-operator"),
        ("x" * 53, "x" * 53 + "-arrayjob"),
    ):
        objects = read(helm("template", release, OPERATOR))
        only(objects, "Deployment", expected)
        assert len(expected) <= 63


def the_copy_of_the_definition_equals_the_generated_file():
    assert (CRDS / "files" / "arrayjobs.yaml").read_bytes() == CRD_SOURCE.read_bytes(), (
        "the copy differs: run cp crds/arrayjobs.yaml charts/arrayjob-crds/files/arrayjobs.yaml"
    )


def the_definition_is_complete_and_kept():
    [source] = read((CRDS / "files" / "arrayjobs.yaml").read_text())
    values = {"labels": {"team": "imaging", "app.kubernetes.io/name": "ignored"}, "annotations": {"note": "{{ brace }}"}}
    for given in ({}, values):
        [crd] = render(CRDS, given)
        objects_are_named_and_labelled([crd])
        assert crd["kind"] == "CustomResourceDefinition" and crd["spec"] == source["spec"]
        assert crd["metadata"]["name"] == source["metadata"]["name"]
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert crd["metadata"]["labels"]["team"] == "imaging" and crd["metadata"]["annotations"]["note"] == "{{ brace }}"
    [loose] = render(CRDS, {"keep": False})
    assert "helm.sh/resource-policy" not in loose["metadata"].get("annotations", {})
    assert render(CRDS, {"enabled": False}) == []


def no_release_deletes_the_definition():
    for chart in (OPERATOR, CRDS):
        assert not (chart / "crds").exists(), "helm does not upgrade definitions in a folder crds"
        assert "dependencies" not in read((chart / "Chart.yaml").read_text())[0]


def charts_have_the_version_of_the_programs():
    version = programs_version()
    for chart in (OPERATOR, CRDS):
        [about] = read((chart / "Chart.yaml").read_text())
        assert about["appVersion"] == version, f"{chart.name}: appVersion {about['appVersion']}, Cargo.toml {version}"
        assert about["kubeVersion"] == ">=1.29.0-0"


def old_clusters_are_refused():
    for chart in (OPERATOR, CRDS):
        for version in ("1.29.0", "1.36.2", "1.31.5-eks-1a2b3c4"):
            render(chart, {}, "--kube-version", version)
        try:
            render(chart, {}, "--kube-version", "1.28.9")
        except Refused as refused:
            assert "kubeVersion" in str(refused), refused
        else:
            raise AssertionError(f"{chart.name} accepts 1.28")


def every_value_is_in_the_schema_and_has_a_default_and_a_comment():
    for chart in (OPERATOR, CRDS):
        text = (chart / "values.yaml").read_text()
        [defaults] = read(text)
        schema = json.loads((chart / "values.schema.json").read_text())

        def compare(properties, values, path):
            for name, about in properties.items():
                if "$ref" in about:
                    about = schema["definitions"][about["$ref"].rsplit("/", 1)[1]]
                assert name in values or name == "global", f"{chart.name}: {path}{name} has no default"
                if "properties" in about:
                    assert about["additionalProperties"] is False, f"{path}{name} accepts unknown values"
                    compare(about["properties"], values[name], f"{path}{name}.")

        compare(schema["properties"], defaults, "")
        for paragraph in re.split(r"\n\n", text.strip()):
            assert paragraph.startswith("#") or paragraph.split("\n")[1].lstrip().startswith("#"), f"a value has no comment: {paragraph}"


def the_notes_contain_the_commands_of_a_first_job():
    for values, flag in (({}, ""), (RENDERINGS["another namespace"], " -n lab")):
        notes = with_values(values, lambda *given: helm("install", "arrayjob", OPERATOR, "--dry-run=client", "--namespace", NAMESPACE, *given))
        notes = notes.split("NOTES:")[1]
        for line in (
            "helm install arrayjob-crds charts/arrayjob-crds",
            f"kubectl apply{flag} -f crds/examples/demo.yaml",
            f"kubectl wait{flag} --for=condition=Finished aj/demo --timeout=120s",
            f"kubectl get{flag} aj",
            f"kubectl arrayjob get{flag} demo 'power[:,10,10]' -o p.npy",
            f"kubectl arrayjob open{flag} demo",
        ):
            assert line in notes, line


def without_suffix(name):
    """The registered name of a metric, without the suffix of a counter or a histogram."""
    return re.sub(r"_(total|bucket|count|sum)$", "", name)


def queried_metrics(dashboard):
    """Names of the metrics in the queries of a dashboard."""
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries += [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    return {name for query in queries for name in re.findall(r"\barrayjob_[a-z_]+", query)}


def the_dashboard_is_complete():
    source = json.loads((OPERATOR / "files" / "dashboard.json").read_text())
    config = only(render(OPERATOR, {"dashboard": {"enabled": True}}), "ConfigMap")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["arrayjob.json"]) == source
    panels = source["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) and queried_metrics(source)
    occupied = set()
    for panel in panels:
        grid = panel["gridPos"]
        cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
        assert not cells & occupied and grid["x"] + grid["w"] <= 24, f"{panel['title']} overlaps"
        occupied |= cells
        assert panel["type"] == "row" or panel["description"] and panel["targets"], panel["title"]


def the_dashboard_queries_registered_metrics():
    """Compares with the source code. `charts/test --metrics` compares with scrapes."""
    paths = [path for crate in ("operator", "chunkserver") for path in sorted((REPOSITORY / crate / "src").rglob("*.rs"))]
    text = "\n".join(path.read_text() for path in paths)
    words = set(re.findall(r'"([a-z_]+)"', text))
    registered = words | {f"{prefix}_{word}" for prefix in re.findall(r'with_prefix\("([a-z_]+)"\)', text) for word in words}
    source = json.loads((OPERATOR / "files" / "dashboard.json").read_text())
    missing = sorted(name for name in queried_metrics(source) if not {name, without_suffix(name)} & registered)
    assert not missing, f"no program registers {', '.join(missing)}"


STATEMENTS = [
    the_permissions_of_the_operator_are_exact,
    the_defaults_install_a_restricted_operator_for_all_namespaces,
    every_value_has_an_effect,
    the_installation_may_close_all_addresses_and_secrets,
    one_namespace_needs_no_cluster_wide_object,
    without_leader_election_an_update_stops_the_operator_first,
    servers_run_the_selected_image,
    names_follow_the_release,
    the_copy_of_the_definition_equals_the_generated_file,
    the_definition_is_complete_and_kept,
    no_release_deletes_the_definition,
    charts_have_the_version_of_the_programs,
    old_clusters_are_refused,
    every_value_is_in_the_schema_and_has_a_default_and_a_comment,
    the_notes_contain_the_commands_of_a_first_job,
    the_dashboard_is_complete,
    the_dashboard_queries_registered_metrics,
]


def why(error):
    """The message of an error, or the source line of the error."""
    message = str(error) if isinstance(error, (AssertionError, Refused)) else repr(error)
    return message or traceback.extract_tb(error.__traceback__)[-1].line


def lint(chart, values):
    with_values(values, lambda *given: helm("lint", "--strict", chart, *given))


def holds(values):
    objects = render(OPERATOR, values)
    for invariant in INVARIANTS:
        try:
            invariant(objects)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"{invariant.__name__}: {why(error)}") from error


def refuses(chart, values, word):
    try:
        render(chart, values)
    except Refused as refused:
        assert word in str(refused), f"the error does not contain {word}: {refused}"
    else:
        raise AssertionError("helm accepted the values")


def all_checks():
    for chart, values in ((OPERATOR, {}), (OPERATOR, EVERYTHING), (CRDS, {})):
        yield f"lint {chart.name} {'with everything' if values else ''}", lambda chart=chart, values=values: lint(chart, values)
    for name, values in RENDERINGS.items():
        yield f"rendering: {name}", lambda values=values: holds(values)
    for statement in STATEMENTS:
        yield statement.__name__, statement
    for chart, values, word in REFUSALS:
        yield f"{chart.name} refuses {json.dumps(values)}", lambda given=(chart, values, word): refuses(*given)


def compare_metrics(files):
    source = json.loads((OPERATOR / "files" / "dashboard.json").read_text())
    scraped = set(re.findall(r"(?m)^([a-z_:]+)", "\n".join(Path(file).read_text() for file in files)))
    missing = sorted(queried_metrics(source) - scraped)
    for name in missing:
        print(f"the scrapes do not contain {name}, which the dashboard queries", file=sys.stderr)
    return not missing


def main(given):
    if given[:1] == ["--metrics"] and given[1:]:
        return compare_metrics(given[1:])
    if given:
        print("usage: charts/test [--metrics FILE..]", file=sys.stderr)
        return False
    passed = failed = 0
    for name, check in all_checks():
        try:
            check()
            passed += 1
        except (AssertionError, Refused, KeyError) as error:
            failed += 1
            print(f"FAILED {name.strip()}: {why(error)}")
    print(f"charts: {passed} passed, {failed} failed")
    return failed == 0


sys.exit(0 if main(sys.argv[1:]) else 1)
