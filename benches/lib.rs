//! Benchmarks: `cargo bench -p benches` for the kernels alone, `make bench` for the whole job beside its peers.
