//! What may be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A stack of images behind URLs as a distributed array: loaded, recentered, rechunked, Fourier-transformed over time.
#[derive(Debug, Parser)]
#[command(name = "arrayjob", version, about, long_about = None, after_help = "Begin with:\n  arrayjob demo                          a movie, a job over it, and pictures of the result\n  arrayjob peek job.yaml 0 -o first.png  one frame, before anything is started\n  arrayjob plan job.yaml                 memory, wire and work of each server\n  arrayjob run job.yaml --out results    everything, on this machine\n\nIn a cluster, where it is also called kubectl arrayjob:\n  kubectl apply -f job.yaml\n  arrayjob watch JOB                     how far it is, until it is finished\n  arrayjob get JOB 'power[:,10,10]' -o p.npy\n  arrayjob open JOB --browser            its page, zarr, NumPy, at a URL on this machine\n  arrayjob report JOB                    one file with all there is to know, without secrets")]
pub struct Cli {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a job on this machine, with chunk servers as processes
    Run(Run),
    /// Say what a job would take: memory, wire bytes and work per server
    Plan(Plan),
    /// Fetch one frame, before anything is started; or through a job's servers
    Peek(Peek),
    /// Read a slice of a job that is being served, here or in a cluster
    Get(Get),
    /// Open a job of a cluster at a URL on this machine, until Ctrl-C
    Open(Open),
    /// Follow a job of a cluster until it is finished
    Watch(Watch),
    /// Keep a job's page as one HTML file, or all that a cluster knows of a job as a zip file, without secrets
    Report(Report),
    /// Run a job and keep serving its arrays until Ctrl-C
    Serve(Serve),
    /// Make a movie, run a job over it, and show what can be seen
    Demo(Demo),
    /// Serve the demo's movie over HTTP, until Ctrl-C
    Movie(Movie),
    /// Print the CustomResourceDefinition for kubectl apply
    Crd,
    /// Print what a job's servers answer to readers, as OpenAPI 3.1
    Openapi,
    /// Be a chunk server; started by arrayjob itself
    #[command(hide = true)]
    ChunkServer,
}

/// `arrayjob run`
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The manifest (YAML or JSON); - reads standard input
    pub file: PathBuf,
    /// Number of chunk servers; default: the manifest's, or one for each processor
    #[arg(long)]
    pub servers: Option<u32>,
    /// Write every kept array to DIR/arrays.zarr, pictures, and DIR/summary.json
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write a slice to a file, as in 'power[:,500,500]=p.npy'; .zarr .npy .png .csv .json .tiff
    #[arg(long, value_name = "SELECTION=PATH")]
    pub save: Vec<String>,
    /// Memory that all servers together may take, as in 8Gi; default: nine tenths of what is available
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Keep serving the arrays once done, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// How progress is told
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

/// `arrayjob plan`
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// The manifest; - reads standard input
    pub file: PathBuf,
    /// Number of chunk servers; default: the manifest's, or one for each processor
    #[arg(long)]
    pub servers: Option<u32>,
    /// Memory of each server, as in 8Gi; default: this machine's, shared by all
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<String>,
}

/// Which cluster and namespace; what kubectl means by the same words.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "In a cluster")]
pub struct Where {
    /// Namespace of the job; default: the context's
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; default: its current one
    #[arg(long)]
    pub context: Option<String>,
    /// The kubeconfig; default: $KUBECONFIG, then ~/.kube/config
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Whose job a JOB is.
const WHICH: &str = "A JOB is a job served on this machine, if there is one of that name, and else an ArrayJob in the cluster; with --namespace, --context or --kubeconfig, or as kubectl arrayjob, it is always the ArrayJob.";

/// `arrayjob peek`
#[derive(Args, Clone, Debug)]
#[command(after_help = WHICH)]
pub struct Peek {
    /// The manifest, - for standard input; or a job, whose servers then fetch the frame
    #[arg(value_name = "FILE|JOB")]
    pub file: PathBuf,
    /// Frame number, 0 first
    pub index: usize,
    /// Where to: .png, .npy, .tiff or .csv
    #[arg(short, long, default_value = "frame.png")]
    pub output: PathBuf,
    /// The cluster.
    #[command(flatten)]
    pub place: Where,
}

/// `arrayjob get`
#[derive(Args, Clone, Debug)]
#[command(after_help = WHICH)]
pub struct Get {
    /// The URL that `serve` or `open` printed, or the name of a job
    #[arg(value_name = "URL|JOB")]
    pub job: String,
    /// NumPy's slicing, as in 'power[:,500,500]'
    pub selection: String,
    /// Where to: .npy .png .csv .json .tiff; default: JSON to standard output
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// The cluster.
    #[command(flatten)]
    pub place: Where,
}

/// `arrayjob open`
#[derive(Args, Clone, Debug)]
pub struct Open {
    /// The ArrayJob
    pub job: String,
    /// Port on this machine; default: any that is free
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Open it in the browser
    #[arg(long)]
    pub browser: bool,
    /// The cluster.
    #[command(flatten)]
    pub place: Where,
}

/// `arrayjob watch`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Ends with 0 when the job is complete, with 1 when it failed, was deleted or took longer than --timeout.")]
pub struct Watch {
    /// The ArrayJob
    pub job: String,
    /// How long to wait, as in 90s, 10m or 1h; default: until it is finished
    #[arg(long)]
    pub timeout: Option<String>,
    /// How progress is told
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
    /// The cluster.
    #[command(flatten)]
    pub place: Where,
}

/// `arrayjob report`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "FILE.html is the job's page with all that it shows, readable without a server; FILE.zip is what a cluster knows of the \
                  job: manifest, status, plan, events, pods, logs and metrics. Secrets are not read; tokens and passwords in what is are \
                  left out."
)]
pub struct Report {
    /// A job of a cluster, a job that is served here, or a server's URL
    pub job: String,
    /// Where to; default: arrayjob-JOB-TIME.zip of a cluster's job, else arrayjob-JOB.html
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The cluster.
    #[command(flatten)]
    pub place: Where,
}

/// `arrayjob movie`
#[derive(Args, Clone, Debug)]
pub struct Movie {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Frames of the movie
    #[arg(long, default_value_t = 400)]
    pub frames: usize,
    /// Let each answer wait so long, as a slow source would: milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub delay_ms: u64,
}

/// `arrayjob serve`
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The manifest; - reads standard input
    pub file: PathBuf,
    /// Number of chunk servers; default: the manifest's, or one for each processor
    #[arg(long)]
    pub servers: Option<u32>,
    /// How progress is told
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

/// `arrayjob demo`
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Where results go
    #[arg(long, default_value = "demo-out")]
    pub out: PathBuf,
    /// Number of chunk servers
    #[arg(long, default_value_t = 4)]
    pub servers: u32,
    /// Frames of the movie
    #[arg(long, default_value_t = 400)]
    pub frames: usize,
    /// Keep serving the arrays once done, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// How progress is told
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

/// How progress is told; always on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// Bars on a terminal, lines otherwise
    Auto,
    /// Lines
    Plain,
    /// One JSON object a line
    Json,
}
