//! Measured memory of a server matches its plan.

use api::geometry::Dtype;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use tests::job::{Job, job};
use tests::movie::Movie;
use tests::place::Place;
use tests::processes::Process;
use tests::source::FrameServer;

const MIB: f64 = 1_048_576.0;

/// `12.3 MiB` as bytes.
fn bytes(number: &str, unit: &str) -> f64 {
    let scale = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => MIB,
        "GiB" => 1024.0 * MIB,
        other => panic!("{other} is not a unit"),
    };
    number.parse::<f64>().unwrap() * scale
}

/// The planned peak of each server, in bytes.
fn planned(place: &Place, manifest: &str, servers: usize) -> Vec<f64> {
    let ended = place.call(["plan", manifest, "--servers", &servers.to_string()]);
    ended.must_succeed();
    let text = String::from_utf8(ended.stdout).unwrap();
    let table = text.lines().skip_while(|line| !line.starts_with("server ")).skip(1);
    table
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            bytes(words[4], words[5])
        })
        .collect()
}

const SERVERS: usize = 2;
const BYTES: Movie = Movie::of(1000, 1000, Dtype::Uint8);
const FLOATS: Movie = Movie::of(500, 500, Dtype::Float32);

/// Recentered uint8 frames and their spectra; all arrays are kept.
fn bytes_job(job: Job) -> Job {
    job.recenter(500, 500).fft("power").reduce(&["mean"])
}

/// Complex spectra of float32 frames; only the spectra are kept.
fn floats_job(job: Job) -> Job {
    job.fft("complex").reduce_all().keep(&["spectrum"])
}

/// Runs a job until it is served, and compares the peak memory of each server with the plan.
fn check(what: &str, movie: Movie, change: impl Fn(Job) -> Job, more: &[&str]) {
    let place = Place::default();
    let source = FrameServer::ready((0..8).map(|index| movie.raw(index)).collect());
    let manifest = place.manifest("large", &change(job(&source.url("{index}"), 200).frame_of(movie)));
    let manifest = manifest.to_str().unwrap();
    let servers = SERVERS.to_string();
    let mut arguments = vec!["run", manifest, "--servers", &servers, "--progress", "json", "--serve"];
    arguments.extend(more);
    let mut running = place.start(arguments);
    let reported = running.until_reported("a plan", |line| line["plan"]["peak_bytes"].as_f64());
    let summary = running.until_reported("a summary", |line| line["summary"]["peak_rss_bytes"].as_f64());
    running.until_served();
    let measured: Vec<f64> = running.servers().iter().map(|server| server.peak_rss_bytes() as f64).collect();
    // `arrayjob plan` does not include the memory for --out; the plan of the run does.
    let planned = if more.is_empty() { planned(&place, manifest, SERVERS) } else { vec![reported; SERVERS] };
    assert_eq!((measured.len(), planned.len()), (SERVERS, SERVERS));
    let all: f64 = measured.iter().sum();
    // The kernel counts memory for each thread and adds the counts with a delay.
    assert!((0.9..1.1).contains(&(summary / all)), "{what}: {summary:.0} bytes in the summary, {all:.0} bytes in /proc");
    for (server, (measured, planned)) in measured.iter().zip(&planned).enumerate() {
        let ratio = measured / planned;
        let report = format!("{what}: server {server} used {:.1} MiB of {:.1} MiB planned: {ratio:.2}", measured / MIB, planned / MIB);
        println!("{report}");
        assert!((0.4..1.15).contains(&ratio), "{report}");
    }
}

#[test]
fn servers_of_uint8_frames_use_the_planned_memory() {
    check("uint8", BYTES, bytes_job, &[]);
}

#[test]
fn servers_of_float32_frames_use_the_planned_memory() {
    check("float32", FLOATS, floats_job, &[]);
}

#[test]
fn servers_that_write_uint8_outputs_use_the_planned_memory() {
    check("uint8, written", BYTES, bytes_job, &["--out", "out"]);
}

#[test]
fn servers_that_write_float32_outputs_use_the_planned_memory() {
    check("float32, written", FLOATS, floats_job, &["--out", "out"]);
}

/// Requests a slice, and reads the response after all readers have sent their requests; returns the length in bytes.
fn read_late(address: &str, path: &str, all_sent: &Barrier) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    all_sent.wait();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&response[..end]);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    response.len() - end - 4
}

#[test]
fn simultaneous_readers_share_the_memory_that_the_plan_leaves() {
    const READERS: usize = 12;
    /// Memory for readers in every plan.
    const MINIMUM: f64 = 64.0 * MIB;
    let place = Place::default();
    let source = FrameServer::ready((0..8).map(|index| FLOATS.raw(index)).collect());
    let job = job(&source.url("{index}"), 200).frame_of(FLOATS).fft("power").keep(&["power"]);
    let manifest = place.manifest("read", &job);
    let manifest = manifest.to_str().unwrap();
    let planned = planned(&place, manifest, SERVERS);
    // The least memory into which the same plan fits.
    let peak = planned.iter().copied().fold(0.0, f64::max) + MIB;
    let memory = format!("{:.0}", peak * SERVERS as f64);
    let mut running = place.start(["run", manifest, "--servers", "2", "--memory", &memory, "--progress", "json", "--serve"]);
    let reported = running.until_reported("a plan", |line| line["plan"]["peak_bytes"].as_f64());
    assert!((reported / peak - 1.0).abs() < 0.05, "the plan of the run has {reported} bytes, not {peak}");
    let url = running.until_served();
    let (address, query) = url.strip_prefix("http://").unwrap().split_once("/?").unwrap();
    // 64 rows of 500 columns and 200 bins, from both servers.
    let path = format!("/slice/power?sel=:,218:282,:&format=raw&{query}");
    let all_sent = Barrier::new(READERS);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read_late(address, &path, &all_sent))).collect();
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 200 * 64 * 500 * 4));
    });
    for (server, (process, planned)) in running.servers().iter().zip(&planned).enumerate() {
        let excess = process.peak_rss_bytes() as f64 - planned;
        let report = format!("server {server} used {:.1} MiB beyond its plan of {:.1} MiB", excess / MIB, planned / MIB);
        println!("{report}");
        assert!(excess < MINIMUM + 0.15 * planned, "{report}");
    }
}

/// An RGBA picture of 16 bits whose samples do not compress: four times the bytes of its frame.
fn colors(index: u32, edge: u32) -> Vec<u8> {
    let mut state = index;
    let samples: Vec<u8> = (0..edge * edge * 8)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, edge, edge);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::NoCompression);
    encoder.write_header().unwrap().write_image_data(&samples).unwrap();
    png
}

#[test]
fn servers_of_pictures_that_are_larger_than_frames_use_the_planned_memory() {
    const EDGE: u32 = 700;
    let place = Place::default();
    let source = FrameServer::ready((0..8).map(|index| colors(index, EDGE)).collect());
    for concurrency in [16, 64] {
        let job = job(&source.url("{index}"), 160).frame(EDGE as usize, EDGE as usize, "uint16").luminance().concurrency(concurrency);
        let manifest = place.manifest("colors", &job.recenter(100, 100).reduce(&["mean"]).keep(&["recentered"]));
        let manifest = manifest.to_str().unwrap();
        let planned = planned(&place, manifest, SERVERS);
        let mut running = place.start(["run", manifest, "--servers", &SERVERS.to_string(), "--progress", "json", "--serve"]);
        running.until_served();
        for (server, (process, planned)) in running.servers().iter().zip(&planned).enumerate() {
            let measured = process.peak_rss_bytes() as f64;
            let report = format!(
                "RGBA16, {concurrency} requests: server {server} used {:.1} MiB of {:.1} MiB planned",
                measured / MIB,
                planned / MIB
            );
            println!("{report}");
            assert!(measured < 1.15 * planned, "{report}");
        }
        drop(running);
    }
}

/// A control group that limits memory, below the group of this process. Its processes must have ended before the drop.
struct Group(PathBuf);

impl Group {
    /// `None` without the permission to create groups, or without a memory controller.
    fn create(name: &str, bytes: u64) -> Option<Self> {
        let listed = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = |controller: &str| {
            let line = listed.lines().find_map(|line| line.split_once(':')?.1.split_once(':').filter(|(name, _)| *name == controller));
            line.map(|(_, path)| path.trim_start_matches('/').to_owned())
        };
        let mounted = Path::new("/sys/fs/cgroup");
        let (parent, limit) = match own("memory") {
            Some(path) => (mounted.join("memory").join(path), "memory.limit_in_bytes"),
            None => (mounted.join(own("")?), "memory.max"),
        };
        let group = Self(parent.join(format!("{name}-{}", std::process::id())));
        std::fs::create_dir(&group.0).ok()?;
        std::fs::write(group.0.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    /// Moves a process into the group. Its memory so far stays with its former group.
    fn add(&self, process: Process) -> bool {
        std::fs::write(self.0.join("cgroup.procs"), process.id().to_string()).is_ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process may take a moment to leave the group.
        let _ = tests::within(std::time::Duration::from_secs(2), || std::fs::remove_dir(&self.0).is_ok());
    }
}

/// Length of a chunked response, which must be complete.
fn chunked_length(address: &str, path: &str) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let (mut length, mut end, mut buffer) = (0, Vec::new(), vec![0; 1 << 20]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        if length == 0 {
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..count.min(400)]));
        }
        length += count as u64;
        end.extend_from_slice(&buffer[count.saturating_sub(8)..count]);
        end.drain(..end.len().saturating_sub(8));
    }
    assert!(end.ends_with(b"\r\n0\r\n\r\n"), "the response is truncated after {length} bytes");
    length
}

#[test]
fn a_read_of_a_whole_array_as_text_keeps_a_server_within_its_control_group() {
    /// The memory for readers of a plan that leaves none, and the growth of a server that answers requests.
    const LIMIT: u64 = (64 + 24) << 20;
    let place = Place::default();
    let Some(group) = Group::create("arrayjob-readers", LIMIT) else {
        // Not captured by libtest: `tests/run` counts the line.
        let _ = writeln!(std::io::stderr(), "\nskipped: a read in a control group: a group with a memory limit needs more permissions");
        return;
    };
    let source = FrameServer::ready((0..8).map(|index| FLOATS.raw(index)).collect());
    let manifest = place.manifest("text", &job(&source.url("{index}"), 100).frame_of(FLOATS).keep(&["raw"]));
    let manifest = manifest.to_str().unwrap();
    // The least memory into which the same plan fits.
    let memory = format!("{:.0}", planned(&place, manifest, 1)[0] + MIB);
    let mut running = place.start(["run", manifest, "--servers", "1", "--memory", &memory, "--progress", "json", "--serve"]);
    let url = running.until_served();
    let servers = running.servers();
    assert!(group.add(servers[0]), "the server is not moved into the group");
    let (address, query) = url.strip_prefix("http://").unwrap().split_once("/?").unwrap();
    let length = chunked_length(address, &format!("/slice/raw?format=json&{query}"));
    assert!(length > 100 * FLOATS.frame.bytes() as u64, "{length} bytes");
    assert!(servers[0].is_alive(), "the server is killed");
    drop(running);
}
