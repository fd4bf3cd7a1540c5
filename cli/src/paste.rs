//! Lines to paste into a shell or into Python that read a served job. Each line works alone, as printed.

use api::arrays::Array;
use api::wire::{TOKEN, route};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
use url::{Position, Url};

/// Arrays for the lines, the preferred one first.
const PREFERRED: [&str; 6] = ["power", "amplitude", "spectrum", "recentered", "rechunked", "raw"];
/// Arrays that are movies, the preferred one first.
const MOVIES: [&str; 3] = ["recentered", "raw", "rechunked"];

/// Name and shape of an array, as in the status.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Readable {
    name: String,
    shape: Vec<usize>,
}

impl From<&Array> for Readable {
    fn from(array: &Array) -> Self {
        Self { name: array.name.clone(), shape: array.shape.clone() }
    }
}

/// The part of the status that the lines need.
#[cfg(feature = "kubernetes")]
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) arrays: Vec<Readable>,
}

/// The lines, each with the name of its program.
#[derive(Clone, Debug)]
pub(crate) struct Paste(Vec<(&'static str, String)>);

impl Paste {
    /// Lines for the job `job` at `url`, whose query contains the token. `target` is the job's name for `arrayjob get`. None if
    /// the job has no arrays or the URL has no token.
    pub(crate) fn new(url: &str, job: &str, target: &str, arrays: &[Readable]) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let token = url.query_pairs().find(|(name, _)| name == TOKEN)?.1.into_owned();
        let origin = &url[..Position::BeforePath];
        let root = format!("{origin}/t/{token}/arrays.zarr");
        let array = named(arrays, &PREFERRED).or(arrays.first())?;
        let name = &array.name;
        // The series of the middle pixel of a stack; smaller arrays are read whole.
        let items = match array.shape[..] {
            [_, height, width] => format!(":,{},{}", height / 2, width / 2),
            _ => String::new(),
        };
        let slice = format!("{origin}{}/{name}?sel={items}&format=npy&{TOKEN}={token}", route::SLICE);
        let selection = if items.is_empty() { name.clone() } else { format!("{name}[{items}]") };
        let mut lines = vec![
            ("shell", format!("export B={origin} T={token}")),
            ("arrayjob", format!("arrayjob get '{target}' '{selection}' -o {name}.npy")),
            ("curl", format!("curl '{slice}' -o {name}.npy")),
            (
                "numpy",
                format!("import io, urllib.request, numpy; {name} = numpy.load(io.BytesIO(urllib.request.urlopen(\"{slice}\").read()))"),
            ),
            ("zarr", format!("import zarr; {name} = zarr.open(\"{root}/{name}\", mode=\"r\")")),
            // zarr-python's own HTTP client takes about twice as long for the same chunks.
            (
                "obstore",
                format!(
                    "import obstore.store, zarr.storage; {name} = zarr.open(zarr.storage.ObjectStore(obstore.store.HTTPStore(\"{root}/{name}\", client_options={{\"allow_http\": True}}), read_only=True), mode=\"r\")"
                ),
            ),
            ("xarray", format!("import xarray; ds = xarray.open_zarr(\"{root}\")")),
            ("dask", format!("import dask.array; {name} = dask.array.from_zarr(\"{root}/{name}\")")),
            (
                "tensorstore",
                format!(
                    "import tensorstore; {name} = tensorstore.open({{\"driver\": \"zarr3\", \"kvstore\": \"{root}/{name}/\"}}).result()"
                ),
            ),
        ];
        if let Some(movie) = named(arrays, &MOVIES).or(Some(array))
            && let [_, height, width] = movie.shape[..]
        {
            let name = &movie.name;
            let picture = format!("{origin}/api/node/{job}/{name}/raw/xy/{width}_{height}/0_0_0/png?{TOKEN}={token}");
            lines.push(("napari", format!("napari '{root}/{name}@1,-1,-1'")));
            lines.push(("skimage", format!("import skimage.io; frame = skimage.io.imread(\"{picture}\")")));
        }
        Some(Self(lines))
    }

    /// The lines by the name of their program.
    pub(crate) fn json(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, line)| ((*name).to_owned(), Value::from(line.as_str()))).collect::<Map<_, _>>())
    }
}

impl fmt::Display for Paste {
    /// One line per program, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, line)| writeln!(f, "  {name:<12}{line}"))
    }
}

/// The first of `names` among the arrays.
fn named<'a>(arrays: &'a [Readable], names: &[&str]) -> Option<&'a Readable> {
    names.iter().find_map(|name| arrays.iter().find(|array| array.name == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:4000/?token=abc";

    fn paste(arrays: &[(&str, &[usize])]) -> Option<Paste> {
        let arrays: Vec<Readable> = arrays.iter().map(|(name, shape)| Readable { name: (*name).into(), shape: shape.to_vec() }).collect();
        Paste::new(URL, "cell", "cell", &arrays)
    }

    #[test]
    fn each_line_is_complete() {
        let arrays: [(&str, &[usize]); 4] =
            [("raw", &[40, 96, 80]), ("recentered", &[40, 64, 60]), ("power", &[40, 64, 60]), ("raw_mean_frame", &[96, 80])];
        let lines = paste(&arrays).unwrap().json();
        let check = |name: &str, line: &str| assert_eq!(lines[name], line, "{name}");
        check("shell", "export B=http://127.0.0.1:4000 T=abc");
        check("arrayjob", "arrayjob get 'cell' 'power[:,32,30]' -o power.npy");
        check("curl", "curl 'http://127.0.0.1:4000/slice/power?sel=:,32,30&format=npy&token=abc' -o power.npy");
        check("zarr", "import zarr; power = zarr.open(\"http://127.0.0.1:4000/t/abc/arrays.zarr/power\", mode=\"r\")");
        check(
            "obstore",
            "import obstore.store, zarr.storage; power = zarr.open(zarr.storage.ObjectStore(obstore.store.HTTPStore(\"http://127.0.0.1:4000/t/abc/arrays.zarr/power\", client_options={\"allow_http\": True}), read_only=True), mode=\"r\")",
        );
        check("xarray", "import xarray; ds = xarray.open_zarr(\"http://127.0.0.1:4000/t/abc/arrays.zarr\")");
        check("dask", "import dask.array; power = dask.array.from_zarr(\"http://127.0.0.1:4000/t/abc/arrays.zarr/power\")");
        check("napari", "napari 'http://127.0.0.1:4000/t/abc/arrays.zarr/recentered@1,-1,-1'");
        check(
            "skimage",
            "import skimage.io; frame = skimage.io.imread(\"http://127.0.0.1:4000/api/node/cell/recentered/raw/xy/60_64/0_0_0/png?token=abc\")",
        );
        let text = paste(&arrays).unwrap().to_string();
        assert!(text.starts_with("  shell       export B=http") && text.lines().count() == lines.as_object().unwrap().len(), "{text}");
    }

    #[test]
    fn the_preferred_array_is_shown() {
        let zarr = |arrays: &[(&str, &[usize])]| paste(arrays).unwrap().json()["zarr"].as_str().unwrap().to_owned();
        assert!(zarr(&[("raw", &[4, 5, 6]), ("amplitude", &[4, 5, 6])]).contains("/amplitude\""));
        assert!(zarr(&[("raw", &[4, 5, 6]), ("recentered", &[4, 5, 6])]).contains("/recentered\""));
        let small = paste(&[("raw_mean_trace", &[4])]).unwrap().json();
        assert!(small.get("napari").is_none() && small["curl"].as_str().unwrap().contains("?sel=&format"), "{small}");
        assert!(paste(&[]).is_none());
        assert!(Paste::new("http://127.0.0.1:4000/", "cell", "cell", &[]).is_none());
    }
}
