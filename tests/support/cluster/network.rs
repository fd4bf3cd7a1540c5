//! Connections from the network of a pod, without a program in the pod: a node enters the network namespace of the pod.

use super::node;
use super::tools::{kubectl, tool};

/// Seconds until a connection attempt without a response has failed.
const CONNECT_SECONDS: u32 = 3;

/// The network of a pod.
#[derive(Clone, Debug)]
pub struct PodNetwork {
    node: String,
    /// The IP address of the pod.
    pub address: String,
    /// The name of the network namespace on the node.
    name: String,
}

/// The systemd unit of the metadata service.
const UNIT: &str = "arrayjob-metadata";

impl PodNetwork {
    /// The network of the pod with this name, or of the first pod with the labels of a selector (`-lapp=movie`). `None` if the node is
    /// not a container of the local engine.
    ///
    /// # Panics
    /// When there is no such pod with an address.
    pub fn of(namespace: &str, pod: &str) -> Option<Self> {
        let fields = "{.spec.nodeName} {.status.podIP}";
        let template = if pod.starts_with("-l") { fields.replace("{.", "{.items[0].") } else { fields.to_owned() };
        let found = kubectl(["get", "pod", "-n", namespace, pod, "-o", &format!("jsonpath={template}")]);
        let (node, address) = found.split_once(' ').unwrap_or_else(|| panic!("{pod}: {found}"));
        if !node::is_local(node) {
            return None;
        }
        let script =
            "for name in $(ls /run/netns); do ip netns exec $name ip -4 -o addr show | grep -qF \" $0/\" && echo $name; done; true";
        let found = tool("docker", ["exec", node, "sh", "-c", script, address], "");
        found.must_succeed();
        let name = found.text().trim().to_owned();
        assert!(!name.is_empty(), "no network namespace of {node} has the address {address} of {pod}");
        Some(Self { node: node.to_owned(), address: address.to_owned(), name })
    }

    /// Whether a TCP connection to this address succeeds. Packets that a policy drops are a failed attempt.
    pub fn connects(&self, address: &str, port: u16) -> bool {
        let target = format!("TCP:{address}:{port},connect-timeout={CONNECT_SECONDS}");
        let tried = tool("docker", ["exec", &self.node, "ip", "netns", "exec", &self.name, "socat", "-u", "OPEN:/dev/null", &target], "");
        tried.code == Some(0)
    }
}

/// A metadata service as machines of clouds have: a listener at 169.254.169.254, which all nodes reach. Dropping the value removes it.
#[derive(Debug)]
pub struct MetadataService {
    node: String,
    others: Vec<String>,
}

impl MetadataService {
    /// The port of the service.
    pub const PORT: u16 = 80;
    /// The address of the service.
    pub const ADDRESS: &'static str = "169.254.169.254";

    /// Starts the service on the node of the API server. `None` if the nodes are not containers of the local engine.
    ///
    /// # Panics
    /// When the service cannot be started.
    pub fn start() -> Option<Self> {
        let node = node::of_api_server()?;
        let all = kubectl(["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
        let others = all.split(' ').filter(|other| **other != *node).map(str::to_owned).collect();
        let service = Self { node, others };
        let address = kubectl(["get", "node", &service.node, "-o", "jsonpath={.status.addresses[?(@.type==\"InternalIP\")].address}"]);
        let (port, own) = (Self::PORT, format!("{}/32", Self::ADDRESS));
        let listen = format!("TCP-LISTEN:{port},bind={},fork,reuseaddr", Self::ADDRESS);
        // The service of a killed test is replaced.
        let start = format!(
            "systemctl stop {UNIT} 2>/dev/null; ip address replace {own} dev lo && systemd-run --collect --unit={UNIT} socat {listen} SYSTEM:true"
        );
        node::shell(&service.node, &start).must_succeed();
        for other in &service.others {
            node::shell(other, &format!("ip route replace {own} via {address}")).must_succeed();
        }
        Some(service)
    }
}

impl Drop for MetadataService {
    fn drop(&mut self) {
        let _ = node::shell(&self.node, &format!("systemctl stop {UNIT}; ip address del {}/32 dev lo", Self::ADDRESS));
        for other in &self.others {
            let _ = node::shell(other, &format!("ip route del {}/32", Self::ADDRESS));
        }
    }
}
