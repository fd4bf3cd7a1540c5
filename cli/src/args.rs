//! What may be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A stack of images behind URLs as a distributed array: loaded, recentered, rechunked, Fourier-transformed over time.
#[derive(Debug, Parser)]
#[command(name = "arrayjob", version, about, long_about = None, after_help = "Begin with:\n  arrayjob demo                          a movie, a job over it, and pictures of the result\n  arrayjob peek job.yaml 0 -o first.png  one frame, before anything is started\n  arrayjob plan job.yaml                 memory, wire and work of each server\n  arrayjob run job.yaml --out results    everything, on this machine")]
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
    /// Fetch one frame, before anything is started
    Peek(Peek),
    /// Read a slice of a job that is being served
    Get(Get),
    /// Run a job and keep serving its arrays until Ctrl-C
    Serve(Serve),
    /// Make a movie, run a job over it, and show what can be seen
    Demo(Demo),
    /// Print the CustomResourceDefinition for kubectl apply
    Crd,
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

/// `arrayjob peek`
#[derive(Args, Clone, Debug)]
pub struct Peek {
    /// The manifest; - reads standard input
    pub file: PathBuf,
    /// Frame number, 0 first
    pub index: usize,
    /// Where to: .png, .npy, .tiff or .csv
    #[arg(short, long, default_value = "frame.png")]
    pub output: PathBuf,
}

/// `arrayjob get`
#[derive(Args, Clone, Debug)]
pub struct Get {
    /// The URL that `serve` printed, or the name of a job served on this machine
    pub job: String,
    /// NumPy's slicing, as in 'power[:,500,500]'
    pub selection: String,
    /// Where to: .npy .png .csv .json .tiff; default: JSON to standard output
    #[arg(short, long)]
    pub output: Option<PathBuf>,
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
