//! The command line: verbs, arguments and their help texts.

#![expect(rustdoc::broken_intra_doc_links, reason = "the comments of fields are the help on a terminal")]

mod examples;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Turn a stack of images behind URLs into a distributed array: load, recenter, rechunk, Fourier-transform over time.
#[derive(Debug, Parser)]
#[command(name = "arrayjob", version, long_about = None, after_help = examples::ARRAYJOB)]
pub struct Cli {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs. The first paragraph is the summary of `arrayjob --help`; `arrayjob VERB --help` shows all paragraphs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a job on this machine
    ///
    /// Starts chunk servers as processes on this machine, computes all arrays of the manifest, and writes the outputs. A server
    /// that is lost is started again and repeats only its own share. Progress goes to standard error.
    ///
    /// Exit status: 0 complete, 1 the job failed, 2 the manifest or the command line is wrong, 130 stopped by a signal.
    Run(Run),
    /// Print what a job needs: memory, network bytes and work of each server
    ///
    /// Fetches at most one frame, or the metadata of an array, to learn the shape. Starts no server.
    Plan(Plan),
    /// Fetch one frame of a manifest's source, or of a job
    ///
    /// With a manifest, this machine fetches the frame and no server starts. With a job, one of its servers fetches the frame, with
    /// the network and the secrets of the job.
    Peek(Peek),
    /// Read a slice of a served job, on this machine or in a cluster
    ///
    /// Reads from the memory of the job's servers. If a server is being replaced, get retries for up to 120 s.
    Get(Get),
    /// Open a job of a cluster at a URL on this machine
    ///
    /// Prints a URL with the job's token on standard output. The URL leads to the job's page, and to all of its arrays for programs.
    /// The URL is valid until Ctrl-C, also when pods are replaced.
    Open(Open),
    /// Follow a job of a cluster until the job finishes
    ///
    /// Prints the plan, lost servers, obstacles and the progress of each phase on standard error.
    ///
    /// Exit status: 0 complete, 1 failed, deleted or not finished within --timeout, 130 stopped by a signal.
    Watch(Watch),
    /// Save a job's page as one HTML file, or a cluster's data about a job as one zip file
    ///
    /// FILE.html is the job's page with all its data, readable without a server. FILE.zip contains manifest, status, plan, events,
    /// pods, logs and metrics of an ArrayJob. No report reads Secrets; tokens and passwords in other objects are removed.
    Report(Report),
    /// Run a job on this machine, and serve its arrays until Ctrl-C
    ///
    /// As run --serve: prints the URL of the job and lines to paste into a shell or into Python. Another terminal reads the arrays
    /// with arrayjob get and the job's name.
    Serve(Serve),
    /// Run a job over a test movie, and check its results
    ///
    /// Serves a movie of a drifting, beating cell on this machine, runs a job over the movie, writes arrays and pictures, and compares
    /// them with the known beats of the cell.
    Demo(Demo),
    /// Serve the demo's movie over HTTP until Ctrl-C
    ///
    /// Each frame is an 8-bit gray PNG of 512×512 pixels at http://ADDRESS/INDEX.png.
    Movie(Movie),
    /// Print the CustomResourceDefinition of ArrayJob, as YAML
    ///
    /// The chart arrayjob-crds installs the same definition.
    #[command(after_help = examples::CRD)]
    Crd,
    /// Print the servers' HTTP routes for readers, as OpenAPI 3.1
    #[command(after_help = examples::OPENAPI)]
    Openapi,
    /// Run as a chunk server; arrayjob starts this itself
    #[command(hide = true)]
    ChunkServer,
}

/// `arrayjob run`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::RUN)]
pub struct Run {
    /// The manifest, as YAML or JSON; - reads standard input
    pub file: PathBuf,
    /// Number of chunk servers; default: the manifest's, or one for each processor
    #[arg(long)]
    pub servers: Option<u32>,
    /// Write every kept array to DIR/arrays.zarr, pictures, DIR/report.html and DIR/summary.json
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write a slice to a file or URL; the extension selects the format: .zarr .npy .png .jpg .csv .json .tiff; may repeat
    #[arg(long, value_name = "SELECTION=PATH")]
    pub save: Vec<String>,
    /// Memory of all servers together, in bytes or with a unit (512Mi, 8Gi); default: nine tenths of the available memory
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Serve the arrays after the job is complete, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Form of the progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

/// `arrayjob plan`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::PLAN)]
pub struct Plan {
    /// The manifest, as YAML or JSON; - reads standard input
    pub file: PathBuf,
    /// Number of chunk servers; default: the manifest's, or one for each processor
    #[arg(long)]
    pub servers: Option<u32>,
    /// Memory of each server, in bytes or with a unit (512Mi, 8Gi); default: all servers share nine tenths of this machine's
    /// available memory
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<String>,
}

/// Selects a cluster and a namespace, with the flags of kubectl.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "In a cluster")]
pub struct ClusterOptions {
    /// Namespace of the job; default: the context's namespace
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; default: the current context
    #[arg(long)]
    pub context: Option<String>,
    /// The kubeconfig; default: $KUBECONFIG, then ~/.kube/config
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// `arrayjob peek`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::peek())]
pub struct Peek {
    /// The manifest (- reads standard input), or a job
    #[arg(value_name = "FILE|JOB")]
    pub file: PathBuf,
    /// Index of the frame; the first frame is 0
    pub index: usize,
    /// The file to write; the extension selects the format: .png .jpg .npy .tiff .csv
    #[arg(short, long, default_value = "frame.png")]
    pub output: PathBuf,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
}

/// `arrayjob get`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::get())]
pub struct Get {
    /// The URL that serve or open printed, or the name of a job
    #[arg(value_name = "URL|JOB")]
    pub job: String,
    /// Name of the array, with NumPy's slicing, as in 'power[:,500,500]'; axes are (t, y, x)
    pub selection: String,
    /// The file to write; the extension selects the format: .npy .png .jpg .csv .json .tiff; default: JSON on standard output
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
}

/// `arrayjob open`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::OPEN)]
pub struct Open {
    /// Name of the ArrayJob
    pub job: String,
    /// Port on this machine; default: any free port
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Open the job's page in the browser
    #[arg(long)]
    pub browser: bool,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
}

/// `arrayjob watch`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::WATCH)]
pub struct Watch {
    /// Name of the ArrayJob
    pub job: String,
    /// Longest wait, in seconds or with a unit (90s, 10m, 1h); default: until the job finishes
    #[arg(long)]
    pub timeout: Option<String>,
    /// Form of the progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
}

/// `arrayjob report`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::report())]
pub struct Report {
    /// Name of a job on this machine or in a cluster, or the URL of a server
    pub job: String,
    /// The file to write: .html or .zip; default: arrayjob-JOB-TIME.zip for an ArrayJob, arrayjob-JOB.html for a job on this machine
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
}

/// `arrayjob movie`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::MOVIE)]
pub struct Movie {
    /// Address and port to listen on; port 0 selects any free port
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Number of frames; at least 40
    #[arg(long, default_value_t = 400)]
    pub frames: usize,
    /// Delay of each response in milliseconds, to imitate a slow source
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub delay_ms: u64,
}

/// `arrayjob serve`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::SERVE)]
pub struct Serve {
    /// The manifest, as YAML or JSON; - reads standard input
    pub file: PathBuf,
    /// Number of chunk servers; default: the manifest's, or one for each processor
    #[arg(long)]
    pub servers: Option<u32>,
    /// Form of the progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

impl From<Serve> for Run {
    fn from(Serve { file, servers, progress }: Serve) -> Self {
        Self { file, servers, out: None, memory: None, save: Vec::new(), serve: true, progress }
    }
}

/// `arrayjob demo`
#[derive(Args, Clone, Debug)]
#[command(after_help = examples::DEMO)]
pub struct Demo {
    /// Folder for arrays, pictures, report and summary
    #[arg(long, default_value = "demo-out")]
    pub out: PathBuf,
    /// Number of chunk servers
    #[arg(long, default_value_t = 4)]
    pub servers: u32,
    /// Number of frames; at least 40
    #[arg(long, default_value_t = 400)]
    pub frames: usize,
    /// Serve the arrays after the check, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Form of the progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

/// Form of the progress; always on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// Bars on a terminal, lines otherwise
    Auto,
    /// Lines of text
    Plain,
    /// One JSON object per line
    Json,
}

#[cfg(test)]
mod tests;
