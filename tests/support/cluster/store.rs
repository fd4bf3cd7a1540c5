//! The object store of [`crate::s3`] as a pod, behind a Service, with the keys in a Secret.

use super::stage::Stage;
use super::{seconds, until};
use crate::s3::{BUCKET, KEYS};
use serde_json::json;

/// The name of the Secret with the keys and the address of the store, and of the other objects of the store.
pub const STORE: &str = "store";
const PORT: u16 = 7070;

/// The image of the store; `None` on a cluster that pulls its images, because no registry has this image.
pub fn store_image() -> Option<String> {
    std::env::var("ARRAYJOB_STORE_IMAGE").ok().filter(|image| !image.is_empty())
}

impl Stage {
    /// Starts a store from this image, with one empty bucket.
    pub fn store(&self, image: &str) {
        let labels = json!({"app": STORE});
        // The kubelet creates the folders of `subPath`, so that the bucket exists.
        let mount = |path: &str, folder: &str| json!({"name": "disk", "mountPath": path, "subPath": folder});
        let container = json!({
            "name": STORE, "image": image, "imagePullPolicy": "IfNotPresent",
            "args": ["--quiet", "--keep-alive", "--port", format!("0.0.0.0:{PORT}"), "posix", "--sidecar", "/notes", "/objects"],
            "workingDir": "/objects",
            "env": [{"name": "ROOT_ACCESS_KEY", "value": KEYS[0]}, {"name": "ROOT_SECRET_KEY", "value": KEYS[1]}],
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            "volumeMounts": [mount("/objects", "objects"), mount(&format!("/objects/{BUCKET}"), "bucket"), mount("/notes", "notes")],
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        });
        let pod = json!({
            "containers": [container], "volumes": [{"name": "disk", "emptyDir": {}}],
            "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        });
        let keys = json!({
            "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1], "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
            "AWS_ENDPOINT_URL": format!("http://{STORE}.{}.svc:{PORT}", self.namespace),
        });
        let template = json!({"metadata": {"labels": labels}, "spec": pod});
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": STORE}, "stringData": keys},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": STORE},
             "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": STORE}, "spec": {"selector": labels, "ports": [{"port": PORT}]}},
        ]}));
        self.until_available(STORE);
    }

    /// Waits until the only replica of a Deployment is available.
    pub(super) fn until_available(&self, name: &str) {
        until(&format!("{name} is available"), seconds(60), || {
            let found = self.get("/apis/apps/v1", &format!("deployments/{name}"));
            if found["status"]["availableReplicas"] == 1 { Ok(()) } else { Err(found["status"].to_string()) }
        });
    }
}
