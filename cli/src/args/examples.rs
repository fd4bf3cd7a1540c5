//! The text after the options of `--help`: examples of each verb.

/// After `arrayjob --help`.
pub(super) const ARRAYJOB: &str = "\
Begin with:
  arrayjob demo                          a test movie, a job over it, pictures of the results
  arrayjob peek job.yaml 0 -o first.png  one frame, before any server starts
  arrayjob plan job.yaml                 memory, network bytes and work of each server
  arrayjob run job.yaml --out results    the whole job, on this machine

In a cluster (the command is also kubectl arrayjob):
  kubectl apply -f job.yaml
  arrayjob watch JOB                     progress, until the job finishes
  arrayjob get JOB 'power[:,10,10]' -o p.npy
  arrayjob open JOB --browser            the job's page and arrays, at a URL on this machine
  arrayjob report JOB                    one zip file for a bug report, without secrets

arrayjob VERB --help shows examples of each verb.";

/// The meaning of a JOB argument.
const JOB: &str = "\
A JOB is a job that is served on this machine. If no job of that name is served, JOB is an ArrayJob of the cluster. With \
--namespace, --context or --kubeconfig, or as kubectl arrayjob, JOB is always an ArrayJob.";

pub(super) const RUN: &str = "\
Examples:
  arrayjob run job.yaml --out results
  arrayjob run job.yaml --save 'power[:,500,500]=p.npy' --save 'raw[0]=first.png'
  arrayjob run job.yaml --save 'power=s3://bucket/power.zarr' --memory 8Gi
  arrayjob run - --progress json < job.yaml";

pub(super) const PLAN: &str = "\
Examples:
  arrayjob plan job.yaml
  arrayjob plan job.yaml --servers 4 --memory 8Gi    four servers (pods) with 8 GiB each";

pub(super) fn peek() -> String {
    format!(
        "\
Examples:
  arrayjob peek job.yaml 0 -o first.png      the first frame, fetched by this machine
  kubectl arrayjob peek JOB 0 -o first.npy   the first frame, fetched by a server of the job

{JOB}"
    )
}

pub(super) fn get() -> String {
    format!(
        "\
Examples:
  arrayjob get JOB 'power[:,500,500]' -o p.npy         one pixel's spectrum
  arrayjob get JOB 'recentered[::100]' -o frames.tiff  every hundredth frame
  arrayjob get 'http://127.0.0.1:43605/?token=TOKEN' raw_mean_trace

{JOB}"
    )
}

pub(super) fn report() -> String {
    format!(
        "\
Examples:
  arrayjob report JOB -o job.html            the job's page
  kubectl arrayjob report JOB                the cluster's data, as arrayjob-JOB-TIME.zip

{JOB}"
    )
}

pub(super) const OPEN: &str = "\
Examples:
  arrayjob open JOB --browser
  arrayjob open JOB --port 8080 -n lab";

pub(super) const WATCH: &str = "\
Examples:
  arrayjob watch JOB
  arrayjob watch JOB --timeout 10m --progress plain";

pub(super) const SERVE: &str = "\
Examples:
  arrayjob serve job.yaml
  arrayjob get JOB 'power[:,500,500]' -o p.npy       in another terminal";

pub(super) const DEMO: &str = "\
Examples:
  arrayjob demo                              writes demo-out/
  arrayjob demo --serve --frames 1000        keeps the arrays readable, until Ctrl-C";

pub(super) const MOVIE: &str = "\
Examples:
  arrayjob movie                             400 frames at http://127.0.0.1:8000/0.png to 399.png
  arrayjob movie --listen 0.0.0.0:8000 --delay-ms 200";

pub(super) const CRD: &str = "\
Example:
  arrayjob crd | kubectl apply --server-side -f -";

pub(super) const OPENAPI: &str = "\
Example:
  arrayjob openapi > openapi.json";
