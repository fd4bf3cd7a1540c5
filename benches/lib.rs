//! Benchmarks: `cargo bench -p benches` measures the kernels, `make bench` compares the whole job with other programs.
