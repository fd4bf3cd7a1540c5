//! The text of a plan, line by line.

use super::*;

#[test]
fn the_text_of_a_plan_states_all_of_it() {
    let mut small = job(40, 30, 20);
    small.recenter = Some(Recenter { crop: [10, 12], method: Method::Centroid, threshold: None });
    let budget = Budget { memory: Allowance::PerServer(1 << 30), cores: 1 };
    let text = Plan::new(&small, Some(2), &budget).unwrap().to_string();
    let expected = "frames     40 × 30×20 uint8 (23.4 KiB)
recenter   to 10×12 uint8 (4.7 KiB)
servers    2 with 1 compute thread each
slabs      2 of 20 frames
bands      2 of 64 pixels × 40 frames, 1 in flight, pulled while frames load
wire       2.3 KiB between servers
fft        120 pixels, 21 bins of Power stored (9.8 KiB), window None, detrend None
keep       raw, recentered, spectrum
storage    memory
peak       40.0 MiB in one server, 80.1 MiB in all

server       frames         slabs        bands       peak       disk
     0         0–20            1            1   40.0 MiB        0 B
     1        20–40            1            1   40.0 MiB        0 B
";
    assert_eq!(text, expected);
}

#[test]
fn the_text_omits_what_a_job_does_not_do() {
    let plain = Job { fft: None, keep: Some(vec![]), storage: Storage::Disk, ..job(40, 30, 20) };
    let budget = Budget { memory: Allowance::PerServer(1 << 30), cores: 3 };
    let text = Plan::new(&plain, Some(1), &budget).unwrap().to_string();
    let expected = "frames     40 × 30×20 uint8 (23.4 KiB)
servers    1 with 3 compute threads each
slabs      2 of 20 frames
keep       reductions only
storage    disk
peak       40.3 MiB in one server, 40.3 MiB in all

server       frames         slabs        bands       peak       disk
     0         0–40            2            0   40.3 MiB   23.4 KiB
";
    assert_eq!(text, expected);
}
