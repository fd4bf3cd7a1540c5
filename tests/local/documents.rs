//! The examples of the documents and the commands that `arrayjob` prints work unchanged.

use serde_json::Value;
use std::process::Command;
use tests::place::{CommandOutput, Place, Running};
use tests::referee::interpreter;
use tests::repository;

/// The example job of the documents, served.
struct Cell {
    place: Place,
    url: String,
    paste: Value,
    _running: Running,
}

impl Default for Cell {
    fn default() -> Self {
        let place = Place::default();
        let manifest = repository().join("crds/examples/cell.yaml");
        let mut running = place.start(["serve", manifest.to_str().unwrap(), "--progress", "json"]);
        let (url, paste) =
            running.until_reported("the job is served", |line| Some((line["url"].as_str()?.to_owned(), line["paste"].clone())));
        Self { place, url, paste, _running: running }
    }
}

impl Cell {
    /// Runs a program with the address in `B` and the token in `T`.
    fn run(&self, mut program: Command) -> CommandOutput {
        let (base, token) = self.url.split_once("/?token=").unwrap();
        program.env("B", base).env("T", token);
        self.place.run(program)
    }

    fn shell(&self, script: &str) -> CommandOutput {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]);
        self.run(bash)
    }

    fn python(&self, code: &str) -> CommandOutput {
        let mut python = Command::new(interpreter());
        python.args(["-W", "ignore", "-c", code]);
        self.run(python)
    }

    /// The line to paste into a reader.
    fn line(&self, reader: &str) -> &str {
        self.paste[reader].as_str().unwrap_or_else(|| panic!("no line for {reader} in {}", self.paste))
    }
}

/// Blocks of code up to a heading: line number of the first line, language, code.
fn blocks(text: &str, up_to: &str) -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate().take_while(|(_, line)| *line != up_to);
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let code: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        blocks.push((number + 1, language.to_owned(), code.join("\n")));
    }
    blocks
}

#[test]
fn examples_for_readers_work_unchanged() {
    let cell = Cell::default();
    let path = repository().join("docs/http-api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut tried, mut wrong) = (0, Vec::new());
    for (line, language, code) in blocks(&text, "## For the loop") {
        let ended = match language.as_str() {
            "sh" => cell.shell(&code),
            "python" => cell.python(&code),
            _ => continue,
        };
        tried += 1;
        if ended.code != Some(0) {
            wrong.push(format!("docs/http-api.md:{line}: {:?}\n{code}\n{}{}", ended.code, ended.text(), ended.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(tried >= 10, "only {tried} examples in docs/http-api.md");
}

#[test]
fn lines_to_paste_work_as_printed() {
    let cell = Cell::default();
    // Both commands write the series of the center pixel.
    let series = |reader: &str| {
        let file = cell.place.path("power.npy");
        let _ = std::fs::remove_file(&file);
        let ended = cell.shell(cell.line(reader));
        assert_eq!(ended.code, Some(0), "{}: {}", cell.line(reader), ended.stderr);
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", cell.line(reader)))
    };
    assert_eq!(series("arrayjob"), series("curl"));
    let exported = cell.shell(&format!("unset B T; {}; curl -sf \"$B/api/v1/status?token=$T\"", cell.line("shell")));
    assert!(exported.text().contains("\"cell\""), "{}", exported.stderr);

    // The other readers return the same series, and NumPy computes the same series from the frames.
    let check = |reader: &str, check: &str| {
        let line = cell.line(reader);
        let ended = cell.python(&format!("{line}\nimport numpy\nseries = numpy.load('power.npy')\n{check}"));
        assert_eq!(ended.code, Some(0), "{line}\n{check}: {}", ended.stderr);
    };
    check("numpy", "assert power.shape == series.shape == (40,) and (power == series).all()");
    check("zarr", "assert (power[:, 32, 32] == series).all()");
    // Exit without cleanup, because threads of obstore may abort the interpreter at its end:
    // https://github.com/PyO3/pyo3-async-runtimes/issues/40.
    check("obstore", "assert (power[:, 32, 32] == series).all()\nimport os; os._exit(0)");
    check("dask", "assert (power[:, 32, 32].compute() == series).all()");
    check("tensorstore", "assert (power[:, 32, 32].read().result() == series).all()");
    check("skimage", "assert frame.shape == (64, 64) and frame.dtype == numpy.uint8 and frame.any()");
    let spectrum = "
x = ds.recentered.values[:, 32, 32].astype(float)
expected = abs(numpy.fft.fft(x - x.mean())) ** 2
assert (ds.power.values[:, 32, 32] == series).all()
assert numpy.allclose(series, expected, rtol=1e-4, atol=1e-4 * expected.max())";
    check("xarray", spectrum);
}
