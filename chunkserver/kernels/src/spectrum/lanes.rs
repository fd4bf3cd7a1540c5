//! Sixteen transforms at once, one per lane of a vector: for numbers of frames that are products of 2, 3 and 5.
//!
//! Frames lie in memory as `[frame][pixel]`, so the input needs no transpose, each step is the same for all lanes, and sixteen pixels share
//! the twiddle factors. The algorithm is the Stockham transform (Van Loan, Computational Frameworks for the Fast Fourier Transform, 1.7,
//! <https://doi.org/10.1137/1.9781611970999>): each pass writes its results in order, so no bit reversal follows. An even number of real
//! values is transformed as half as many complex values, with even frames as real and odd frames as imaginary parts (Sorensen and others,
//! <https://doi.org/10.1109/TASSP.1987.1165220>).

mod butterfly;
mod vector;

use super::GROUP;
use super::group::Row;
use crate::cpu::Cpu;
#[cfg(target_arch = "x86_64")]
use crate::cpu::vector_fn;
use api::job::FftOutput;
use butterfly::Complex;
use std::f64::consts::TAU;
use vector::Vector;

/// A complex value of each pixel of a group.
type Cell = [Row; 2];

/// The plan, shared by all threads.
#[derive(Debug)]
pub(super) struct Transform {
    frames: usize,
    passes: Vec<Pass>,
    /// e^(−2πik/T) for k up to T/4, which separate the packed spectrum. Empty when the number of frames is odd.
    unpack: Vec<[f32; 2]>,
}

/// One pass of a Stockham transform: `length / radix` butterflies on each of `stride` interleaved transforms of `length`.
#[derive(Debug)]
struct Pass {
    radix: usize,
    butterflies: usize,
    stride: usize,
    /// `[butterfly][radix − 1]`
    twiddles: Vec<[f32; 2]>,
}

/// Scratch memory of a thread. Each pass reads one buffer of `cells` and writes the other.
#[derive(Debug)]
pub(super) struct Scratch {
    cells: [Vec<Cell>; 2],
    /// `[bin][pixel]`, the result before the transpose.
    pub(super) bins: Vec<Row>,
}

/// The first two bins. The level must still be added to them.
pub(super) type Edges = [Cell; 2];

fn root(k: usize, n: usize) -> [f32; 2] {
    let (sin, cos) = (TAU * k as f64 / n as f64).sin_cos();
    [cos as f32, -sin as f32]
}

impl Transform {
    /// `None` if `frames` has prime factors other than 2, 3 and 5.
    pub(super) fn new(frames: usize) -> Option<Self> {
        let packed = frames.is_multiple_of(2);
        let mut length = if packed { frames / 2 } else { frames };
        let mut stride = 1;
        let mut passes = Vec::new();
        while length > 1 {
            let radix = [5, 4, 3, 2].into_iter().find(|radix| length.is_multiple_of(*radix))?;
            let butterflies = length / radix;
            let twiddles = (0..butterflies).flat_map(|p| (1..radix).map(move |k| root(p * k, length))).collect();
            passes.push(Pass { radix, butterflies, stride, twiddles });
            length = butterflies;
            stride *= radix;
        }
        let unpack = if packed { (0..=frames / 4).map(|k| root(k, frames)).collect() } else { Vec::new() };
        Some(Self { frames, passes, unpack })
    }

    pub(super) fn scratch(&self, output: FftOutput) -> Scratch {
        let rows = (self.frames / 2 + 1) * if output == FftOutput::Complex { 2 } else { 1 };
        let cells = if self.unpack.is_empty() { self.frames } else { self.frames / 2 };
        Scratch { cells: [vec![Cell::default(); cells], vec![Cell::default(); cells]], bins: vec![Row::default(); rows] }
    }

    /// Transforms `rows`, `[frame][pixel]`, into `scratch.bins`.
    pub(super) fn run(&self, rows: &[Row], output: FftOutput, scratch: &mut Scratch) -> Edges {
        match Cpu::detect() {
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx512(proof) => run_avx512(proof, self, rows, output, scratch),
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx2(proof) => run_avx2(proof, self, rows, output, scratch),
            Cpu::Baseline => run::<vector::Baseline>((), self, rows, output, scratch),
        }
    }
}

#[cfg(target_arch = "x86_64")]
vector_fn! {
    Avx512: fn run_avx512[][](proof; plan: &Transform, rows: &[Row], output: FftOutput, scratch: &mut Scratch) -> Edges {
        run::<vector::F32x16>(proof, plan, rows, output, scratch)
    }
}

#[cfg(target_arch = "x86_64")]
vector_fn! {
    Avx2: fn run_avx2[][](proof; plan: &Transform, rows: &[Row], output: FftOutput, scratch: &mut Scratch) -> Edges {
        run::<vector::F32x8>(proof, plan, rows, output, scratch)
    }
}

#[inline(always)]
fn run<V: Vector>(proof: V::Proof, plan: &Transform, rows: &[Row], output: FftOutput, scratch: &mut Scratch) -> Edges {
    let [from, to] = &mut scratch.cells;
    let (mut from, mut to) = (from, to);
    let packed = !plan.unpack.is_empty();
    let cells: &[Cell] = rows.as_chunks().0;
    match plan.passes.first() {
        Some(first) if packed => pass::<V, Cell>(proof, first, cells, to),
        Some(first) => pass::<V, Row>(proof, first, rows, to),
        // One or two frames.
        None if packed => to.copy_from_slice(cells),
        None => to[0] = [rows[0], Row::default()],
    }
    for later in plan.passes.iter().skip(1) {
        std::mem::swap(&mut from, &mut to);
        pass::<V, Cell>(proof, later, from, to);
    }
    let halves = &plan.unpack;
    match output {
        FftOutput::Power => finish::<V, Power>(proof, to, halves, plan.frames, &mut scratch.bins),
        FftOutput::Amplitude => finish::<V, Amplitude>(proof, to, halves, plan.frames, &mut scratch.bins),
        FftOutput::Complex => finish::<V, Both>(proof, to, halves, plan.frames, &mut scratch.bins),
    }
}

/// The input of a pass: complex values, or real values in the first pass over an odd number of frames.
trait Input {
    fn load<V: Vector>(&self, proof: V::Proof, part: usize) -> Complex<V>;
}

impl Input for Cell {
    #[inline(always)]
    fn load<V: Vector>(&self, proof: V::Proof, part: usize) -> Complex<V> {
        Complex { re: V::load(proof, &self[0], part), im: V::load(proof, &self[1], part) }
    }
}

impl Input for Row {
    #[inline(always)]
    fn load<V: Vector>(&self, proof: V::Proof, part: usize) -> Complex<V> {
        Complex { re: V::load(proof, self, part), im: V::splat(proof, 0.0) }
    }
}

#[inline(always)]
fn store<V: Vector>(value: Complex<V>, to: &mut Cell, part: usize) {
    value.re.store(&mut to[0], part);
    value.im.store(&mut to[1], part);
}

#[inline(always)]
fn pass<V: Vector, I: Input>(proof: V::Proof, pass: &Pass, from: &[I], to: &mut [Cell]) {
    match pass.radix {
        2 => pass_of::<V, I, 2>(proof, pass, from, to),
        3 => pass_of::<V, I, 3>(proof, pass, from, to),
        4 => pass_of::<V, I, 4>(proof, pass, from, to),
        _ => pass_of::<V, I, 5>(proof, pass, from, to),
    }
}

#[inline(always)]
fn pass_of<V: Vector, I: Input, const R: usize>(proof: V::Proof, pass: &Pass, from: &[I], to: &mut [Cell]) {
    let (m, s) = (pass.butterflies, pass.stride);
    for (p, to) in to.chunks_exact_mut(R * s).enumerate().take(m) {
        // Plain loops: closures may be compiled without the features of the vector.
        let mut inputs = [&from[..0]; R];
        for (j, input) in inputs.iter_mut().enumerate() {
            *input = &from[(p + m * j) * s..][..s];
        }
        let twiddles = &pass.twiddles[p * (R - 1)..][..R - 1];
        for q in 0..s {
            for part in 0..GROUP / V::LANES {
                let zero = V::splat(proof, 0.0);
                let mut values = [Complex { re: zero, im: zero }; R];
                for j in 0..R {
                    values[j] = inputs[j][q].load(proof, part);
                }
                butterfly::forward(&mut values);
                store(values[0], &mut to[q], part);
                for k in 1..R {
                    store(values[k].times(twiddles[k - 1]), &mut to[k * s + q], part);
                }
            }
        }
    }
}

/// The values that are written per bin.
trait Output {
    fn put<V: Vector>(value: Complex<V>, bin: usize, bins: &mut [Row], part: usize);
}

struct Power;
struct Amplitude;
struct Both;

impl Output for Power {
    #[inline(always)]
    fn put<V: Vector>(value: Complex<V>, bin: usize, bins: &mut [Row], part: usize) {
        value.power().store(&mut bins[bin], part);
    }
}

impl Output for Amplitude {
    #[inline(always)]
    fn put<V: Vector>(value: Complex<V>, bin: usize, bins: &mut [Row], part: usize) {
        value.power().sqrt().store(&mut bins[bin], part);
    }
}

impl Output for Both {
    #[inline(always)]
    fn put<V: Vector>(value: Complex<V>, bin: usize, bins: &mut [Row], part: usize) {
        value.re.store(&mut bins[2 * bin], part);
        value.im.store(&mut bins[2 * bin + 1], part);
    }
}

/// Writes the bins of a packed spectrum, or the first half of a full spectrum.
#[inline(always)]
fn finish<V: Vector, O: Output>(proof: V::Proof, cells: &[Cell], unpack: &[[f32; 2]], frames: usize, bins: &mut [Row]) -> Edges {
    let mut edges = Edges::default();
    for part in 0..GROUP / V::LANES {
        if unpack.is_empty() {
            for (bin, cell) in cells.iter().enumerate().take(frames / 2 + 1) {
                put::<V, O>(cell.load(proof, part), bin, bins, &mut edges, part);
            }
            continue;
        }
        let half = cells.len();
        let first: Complex<V> = cells[0].load(proof, part);
        put::<V, O>(Complex { re: first.re.plus(first.im), im: V::splat(proof, 0.0) }, 0, bins, &mut edges, part);
        put::<V, O>(Complex { re: first.re.minus(first.im), im: V::splat(proof, 0.0) }, half, bins, &mut edges, part);
        for (bin, twiddle) in unpack.iter().enumerate().take(half / 2 + 1).skip(1) {
            let (near, far): (Complex<V>, Complex<V>) = (cells[bin].load(proof, part), cells[half - bin].load(proof, part));
            // Twice the spectra of the even and of the odd frames.
            let even = Complex { re: near.re.plus(far.re), im: near.im.minus(far.im) };
            let odd = Complex { re: near.re.minus(far.re), im: near.im.plus(far.im) }.times(*twiddle);
            let value = Complex { re: even.re.plus(odd.im), im: even.im.minus(odd.re) };
            let mirrored = Complex { re: even.re.minus(odd.im), im: V::splat(proof, 0.0).minus(even.im.plus(odd.re)) };
            put::<V, O>(value.times_real(0.5), bin, bins, &mut edges, part);
            put::<V, O>(mirrored.times_real(0.5), half - bin, bins, &mut edges, part);
        }
    }
    edges
}

#[inline(always)]
fn put<V: Vector, O: Output>(value: Complex<V>, bin: usize, bins: &mut [Row], edges: &mut Edges, part: usize) {
    if let Some(edge) = edges.get_mut(bin) {
        store(value, edge, part);
    }
    O::put(value, bin, bins, part);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of values that use all digits of float32.
    fn rows(frames: usize) -> Vec<Row> {
        (0..frames).map(|t| Row(std::array::from_fn(|lane| ((t * 16 + lane * 7 + 1) as f32).sin() * (lane + 1) as f32))).collect()
    }

    fn bytes(plan: &Transform, output: FftOutput, run: impl Fn(&Transform, &[Row], FftOutput, &mut Scratch) -> Edges) -> Vec<u8> {
        let mut scratch = plan.scratch(output);
        let edges = run(plan, &rows(plan.frames), output, &mut scratch);
        scratch.bins.iter().chain(edges.as_flattened()).flat_map(|row| row.0).flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn every_cpu_computes_the_same_bytes() {
        for frames in [1, 2, 3, 4, 6, 15, 30, 45, 60, 64, 240, 625, 1000] {
            let plan = Transform::new(frames).unwrap();
            for output in [FftOutput::Power, FftOutput::Amplitude, FftOutput::Complex] {
                let expected =
                    bytes(&plan, output, |plan: &_, rows: &_, output, scratch: &mut _| run::<[f32; 4]>((), plan, rows, output, scratch));
                let baseline = |plan: &_, rows: &_, output, scratch: &mut _| run::<vector::Baseline>((), plan, rows, output, scratch);
                assert_eq!(bytes(&plan, output, baseline), expected, "{frames} frames, {output:?}");
                assert_eq!(bytes(&plan, output, Transform::run), expected, "{frames} frames, {output:?}");
                #[cfg(target_arch = "x86_64")]
                if let Some(proof) = Cpu::detect().avx2() {
                    let avx2 = |plan: &_, rows: &_, output, scratch: &mut _| run_avx2(proof, plan, rows, output, scratch);
                    assert_eq!(bytes(&plan, output, avx2), expected, "{frames} frames, {output:?}");
                }
            }
        }
    }

    #[test]
    fn other_prime_factors_are_not_supported() {
        for frames in [7, 14, 997, 1001, 22] {
            assert!(Transform::new(frames).is_none());
        }
    }
}
