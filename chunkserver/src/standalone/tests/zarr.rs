//! The arrays as Zarr: equal elements on every grid and from every server, conditional requests, and permissions.

use super::source::{FrameServer, SECRET};
use super::support::{Cluster, FRAME, FRAMES, HttpResponse, TOKEN, builder, job};
use api::job::{FftOutput, Job, Recenter, Reduction};
use formats::zarr::Grid;
use reqwest::Method;
use serde_json::Value;

/// Crops, spectra of the crops as `output`, and means, computed by two servers.
async fn computed(output: FftOutput) -> (Cluster, Job) {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    let mut job = job(&frames);
    job.recenter = Some(Recenter { crop: [50, 60], method: api::job::Method::Centroid, threshold: None });
    job.rechunk = Some([FRAMES, 7, 60]);
    job.reduce = vec![Reduction::Mean];
    job.outputs = vec![];
    if let Some(fft) = &mut job.fft {
        fft.output = output;
    }
    cluster.assign(&job).await;
    cluster.until_computed().await;
    (cluster, job)
}

/// The array `name`, joined from its chunks. Asserts that the padding is zero.
async fn whole(cluster: &Cluster, server: usize, name: &str, version: u32) -> Vec<u8> {
    let metadata: Value = cluster.read(server, &format!("/arrays.zarr/{name}/zarr.json")).await.json();
    let numbers = |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect::<Vec<_>>();
    let shape = numbers(&metadata["shape"]);
    let grid = Grid::new(&shape, &numbers(&metadata["chunk_grid"]["configuration"]["chunk_shape"]));
    let item = match metadata["data_type"].as_str().unwrap() {
        "uint8" => 1,
        "float32" | "int32" => 4,
        _ => 8,
    };
    let counts = grid.counts();
    let mut data = vec![0; shape.iter().product::<usize>() * item];
    for number in 0..counts.iter().product() {
        let mut rest = number;
        let mut index = vec![0; counts.len()];
        for axis in (0..counts.len()).rev() {
            index[axis] = rest % counts[axis];
            rest /= counts[axis];
        }
        let words: Vec<String> = index.iter().map(usize::to_string).collect();
        let key = if version == 3 { format!("c/{}", words.join("/")) } else { words.join(".") };
        let chunk = cluster.read(server, &format!("/arrays.zarr/{name}/{key}")).await;
        assert_eq!(chunk.status, 200, "{name}/{key}: {}", chunk.text());
        assert_eq!(chunk.body.len() as u64, grid.chunk_bytes(item), "{name}/{key}");
        copy(&mut data, &shape, &chunk.body, grid.chunks(), &grid.region(&index).unwrap(), item);
    }
    data
}

/// Copies a chunk element by element: slow, but simple.
fn copy(data: &mut [u8], shape: &[usize], chunk: &[u8], chunks: &[usize], region: &[std::ops::Range<usize>], item: usize) {
    for (number, element) in chunk.chunks_exact(item).enumerate() {
        let (mut rest, mut at, mut scale, mut inside) = (number, 0, 1, true);
        for axis in (0..shape.len()).rev() {
            let position = region[axis].start + rest % chunks[axis];
            inside &= position < region[axis].end;
            (at, rest, scale) = (at + position * scale, rest / chunks[axis], scale * shape[axis]);
        }
        if inside {
            data[at * item..][..item].copy_from_slice(element);
        } else {
            assert!(element.iter().all(|&byte| byte == 0), "padding is not zero");
        }
    }
}

#[tokio::test]
async fn every_grid_contains_the_elements_of_the_slice() {
    let (cluster, _) = computed(FftOutput::Power).await;
    let names = [
        "raw",
        "raw@1,-1,-1",
        "raw@-1,50,33",
        "raw@3,1000,64",
        "recentered",
        "recentered@10,-1,-1",
        "recentered@-1,11,13",
        "power",
        "power@1,-1,-1",
        "power@-1,50,1",
        "power@6,9,17",
        "power@-1,-1,-1",
        "centroids",
        "centroids@5,1",
        "offsets@4,-1",
        "power_mean_frame@7,33",
        "power_mean_trace@10",
        "recentered_mean_frame",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let array = name.split('@').next().unwrap();
        let slice = cluster.read(0, &format!("/slice/{array}?format=raw")).await.body;
        let (server, version) = (number % 2, if number % 3 == 0 { 2 } else { 3 });
        assert!(whole(&cluster, server, name, version).await == slice, "{name} of server {server} differs from the slice");
    }
    let (one, other) = (whole(&cluster, 0, "ome/power/0", 3).await, cluster.read(1, "/slice/power?format=raw").await.body);
    assert!(one == other, "the image differs from the slice");
    let frequency = whole(&cluster, 1, "frequency", 3).await;
    let frequency: Vec<f64> = frequency.chunks_exact(8).map(|f| f64::from_le_bytes(f.try_into().unwrap())).collect();
    assert!(frequency.len() == FRAMES && frequency[0] == 0.0 && frequency[11] == 11.0 * (1.0 / 23.0) && frequency[12] == -frequency[11]);
}

#[tokio::test]
async fn complex_arrays_are_also_available_as_real_numbers() {
    let (cluster, _) = computed(FftOutput::Complex).await;
    let spectrum = cluster.read(1, "/slice/spectrum?format=raw").await.body;
    for (server, name) in [(0, "spectrum@-1,11,13"), (1, "spectrum"), (0, "spectrum@1,-1,-1")] {
        assert!(whole(&cluster, server, name, 3).await == spectrum, "{name}");
    }
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    let pairs: Vec<[f32; 2]> = spectrum.chunks_exact(8).map(|pair| [number(&pair[..4]), number(&pair[4..])]).collect();
    for (server, grid) in [(0, ""), (1, "@-1,11,13"), (0, "@2,-1,-1")] {
        let magnitudes = whole(&cluster, server, &format!("spectrum_abs{grid}"), 3).await;
        let phases = whole(&cluster, server, &format!("spectrum_phase{grid}"), 2).await;
        assert_eq!((magnitudes.len(), phases.len()), (4 * pairs.len(), 4 * pairs.len()));
        for ((magnitude, phase), [re, im]) in magnitudes.chunks_exact(4).zip(phases.chunks_exact(4)).zip(&pairs) {
            let expected = f64::from(*re).hypot(f64::from(*im)) as f32;
            assert!((number(magnitude) - expected).abs() <= f32::EPSILON * expected, "{re} {im}");
            assert_eq!(number(phase), im.atan2(*re), "{re} {im}");
        }
    }
}

#[tokio::test]
async fn conditional_requests_return_only_missing_bytes() {
    let (cluster, job) = computed(FftOutput::Power).await;
    // A chunk of a peer, a frame of this server, a chunk of both, a small array, and metadata.
    for key in ["power/c/0/7/0", "recentered@4,-1,-1/c/0/0/0", "raw@-1,10,10/c/0/1/1", "centroids/c/0/0", "power/zarr.json", ""] {
        let path = format!("/arrays.zarr/{key}");
        let all = cluster.read(0, &path).await;
        assert_eq!((all.status, all.header("accept-ranges"), all.header("cache-control")), (200, "bytes", "private, no-cache"), "{key}");
        let (tag, length) = (all.header("etag").to_owned(), all.body.len());
        assert_eq!(all.header("content-length"), length.to_string(), "{key}");
        assert_eq!(cluster.read(1, &path).await.header("etag"), tag, "{key}: the tag depends on the server");

        let head = cluster.request_head(0, &path).await;
        assert_eq!(
            (head.status, head.header("etag"), head.header("content-length")),
            (200, tag.as_str(), all.header("content-length")),
            "{key}"
        );
        assert_eq!((head.body.len(), head.header("content-type")), (0, all.header("content-type")));

        let same = cluster.read_with(0, &path, |request| request.header("if-none-match", &tag)).await;
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag.as_str()), "{key}");
        let other = cluster.read_with(0, &path, |request| request.header("if-none-match", "\"other\"")).await;
        assert_eq!(other.status, 200);

        let end = length.min(60);
        for (range, expected) in [
            ("bytes=5-59".to_owned(), 5..end),
            (format!("bytes={}-", length - 3), length - 3..length),
            ("bytes=-7".into(), length - 7..length),
        ] {
            let part = cluster.read_with(0, &path, |request| request.header("range", &range).header("if-range", &tag)).await;
            assert_eq!(part.status, 206, "{key} {range}");
            assert_eq!(part.header("content-range"), format!("bytes {}-{}/{length}", expected.start, expected.end - 1), "{key} {range}");
            assert!(part.body == all.body[expected], "{key} {range}");
            let changed = cluster.read_with(0, &path, |request| request.header("range", &range).header("if-range", "\"other\"")).await;
            assert!(changed.status == 200 && changed.body == all.body, "{key} {range}");
        }
        let beyond = cluster.read_with(0, &path, |request| request.header("range", format!("bytes={length}-"))).await;
        assert_eq!((beyond.status, beyond.header("content-range")), (416, format!("bytes */{length}").as_str()), "{key}");
    }
    // The tag of a key changes with the generation.
    let tag = cluster.read(0, "/arrays.zarr/power/c/0/0/0").await.header("etag").to_owned();
    let again = Job { generation: job.generation + 1, ..job };
    cluster.assign(&again).await;
    assert_ne!(cluster.request_head(0, "/arrays.zarr/power/c/0/0/0").await.header("etag"), tag);
}

#[tokio::test]
async fn unknown_keys_are_404_and_paths_are_decoded() {
    let (cluster, _) = computed(FftOutput::Power).await;
    for key in [
        "nothing/zarr.json",
        "power/.zgroup",
        "power/c/9/0/0",
        "power@1,2/zarr.json",
        "power@0,1,1/c/0/0/0",
        "ome/centroids/zarr.json",
        "power/x%00y",
    ] {
        let response = cluster.read(1, &format!("/arrays.zarr/{key}")).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (404, "*"), "{key}");
        assert!(!response.problem().2.is_empty());
    }
    let plain = cluster.read(0, "/arrays.zarr/power@1,-1,-1/c/3/0/0").await;
    let encoded = cluster.read(1, "/arrays.zarr/power%401%2C-1%2c-1/c/3/0/0").await;
    assert!((plain.status, encoded.status) == (200, 200) && plain.body == encoded.body);
    let listing = cluster.read(0, "/arrays.zarr").await;
    assert!(listing.header("content-type").starts_with("text/html") && listing.text().contains("<a href=\"power/\">"));
}

#[tokio::test]
async fn pages_of_other_origins_can_read() {
    let cluster = Cluster::start(1, &[]);
    for path in ["/arrays.zarr/power/c/0/0/0", "/slice/raw", "/api/v1/status", "/t/wrong/arrays.zarr/zarr.json", "/nothing"] {
        let preflight = cluster.request(Method::OPTIONS, cluster.reader_url(0, path)).await;
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, "*"), "{path}");
        assert_eq!(preflight.header("access-control-allow-headers"), "Authorization, Range, If-None-Match, If-Range");
        assert_eq!(preflight.header("access-control-allow-private-network"), "true");
        assert!(!preflight.header("access-control-allow-methods").contains("PUT"));
        let refused = cluster.get(cluster.reader_url(0, path)).await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, "*"), "{path}");
        assert!(refused.header("access-control-expose-headers").contains("Content-Range"));
    }
    let unavailable = cluster.read(0, "/arrays.zarr/zarr.json").await;
    assert_eq!((unavailable.status, unavailable.header("retry-after"), unavailable.header("access-control-allow-origin")), (503, "1", "*"));
    assert_eq!(cluster.read(0, "/nothing").await.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn the_token_can_be_a_path_prefix_or_a_password() {
    let (cluster, _) = computed(FftOutput::Power).await;
    let url = |path: &str| cluster.reader_url(0, path);
    for path in ["arrays.zarr/zarr.json", "arrays.zarr/raw@1,-1,-1/c/0/0/0", "arrays.zarr/", "slice/raw?sel=0&format=raw", "api/v1/status"]
    {
        assert_eq!(cluster.get(url(&format!("/t/{TOKEN}/{path}"))).await.status, 200, "{path}");
        for wrong in ["wrong", "", &TOKEN[1..], &format!("{TOKEN}x")] {
            assert_eq!(cluster.get(url(&format!("/t/{wrong}/{path}"))).await.status, 401, "{wrong} {path}");
        }
    }
    // A wrong token in the path is refused, even with the right token in a header.
    assert_eq!(cluster.read(0, "/t/wrong/api/v1/status").await.status, 401);
    assert_eq!(cluster.get(url(&format!("/{TOKEN}/api/v1/status"))).await.status, 401);
    let with = |user: &str, password: &str| {
        let request = builder().build().unwrap().get(url("/arrays.zarr/.zmetadata")).basic_auth(user, Some(password));
        HttpResponse::to(request)
    };
    assert_eq!(with("anyone", TOKEN).await.unwrap().status, 200);
    assert_eq!(with("", TOKEN).await.unwrap().status, 200);
    let refused = with(TOKEN, "wrong").await.unwrap();
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer realm=\"arrayjob\""));
    assert_eq!(FRAME.bytes(), cluster.get(url(&format!("/t/{TOKEN}/slice/raw?sel=0&format=raw"))).await.body.len());
}
