//! The custom resource `ArrayJob`: what a manifest may say and what its status tells.
//!
//! These types never travel between servers; `operator::validate` is the one bridge from here to [`api::Job`].
//!
//! [`api::Job`]: ../api/job/struct.Job.html

pub mod v1alpha1;

pub use v1alpha1::{ArrayJob, ArrayJobSpec};

use kube::CustomResourceExt as _;

/// The CustomResourceDefinition, as `kubectl apply` takes it.
pub fn definition() -> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
    ArrayJob::crd()
}
