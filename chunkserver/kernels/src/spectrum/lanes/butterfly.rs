//! Discrete Fourier transforms of 2, 3, 4 and 5 complex values in registers: <https://en.wikipedia.org/wiki/Butterfly_diagram>.

use super::Vector;

/// A complex value per lane.
#[derive(Clone, Copy)]
pub(super) struct Complex<V> {
    pub(super) re: V,
    pub(super) im: V,
}

impl<V: Vector> Complex<V> {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self { re: self.re.plus(other.re), im: self.im.plus(other.im) }
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self { re: self.re.minus(other.re), im: self.im.minus(other.im) }
    }
    /// `self − i·other`
    #[inline(always)]
    fn minus_i(self, other: Self) -> Self {
        Self { re: self.re.plus(other.im), im: self.im.minus(other.re) }
    }
    /// `self + i·other`
    #[inline(always)]
    fn plus_i(self, other: Self) -> Self {
        Self { re: self.re.minus(other.im), im: self.im.plus(other.re) }
    }
    #[inline(always)]
    pub(super) fn times_real(self, factor: f32) -> Self {
        let factor = self.re.splat_like(factor);
        Self { re: self.re.times(factor), im: self.im.times(factor) }
    }
    #[inline(always)]
    pub(super) fn times(self, [re, im]: [f32; 2]) -> Self {
        let (re, im) = (self.re.splat_like(re), self.re.splat_like(im));
        Self { re: self.re.times(re).minus(self.im.times(im)), im: self.re.times(im).plus(self.im.times(re)) }
    }
    #[inline(always)]
    pub(super) fn power(self) -> V {
        self.re.times(self.re).plus(self.im.times(self.im))
    }
}

// sin and cos of 2π/3, 2π/5 and 4π/5.
const SIN_3: f32 = 0.866_025_4;
const COS_5: [f32; 2] = [0.309_017, -0.809_017];
const SIN_5: [f32; 2] = [0.951_056_5, 0.587_785_25];

/// The discrete Fourier transform of R values: v(k) = Σ v(j)·e^(−2πijk/R).
#[inline(always)]
pub(super) fn forward<V: Vector, const R: usize>(v: &mut [Complex<V>; R]) {
    match R {
        2 => (v[0], v[1]) = (v[0].plus(v[1]), v[0].minus(v[1])),
        3 => {
            let (sum, difference) = (v[1].plus(v[2]), v[1].minus(v[2]).times_real(SIN_3));
            let middle = v[0].minus(sum.times_real(0.5));
            v[0] = v[0].plus(sum);
            v[1] = middle.minus_i(difference);
            v[2] = middle.plus_i(difference);
        }
        4 => {
            let (even, odd) = ([v[0].plus(v[2]), v[0].minus(v[2])], [v[1].plus(v[3]), v[1].minus(v[3])]);
            v[0] = even[0].plus(odd[0]);
            v[1] = even[1].minus_i(odd[1]);
            v[2] = even[0].minus(odd[0]);
            v[3] = even[1].plus_i(odd[1]);
        }
        _ => {
            let sums = [v[1].plus(v[4]), v[2].plus(v[3])];
            let differences = [v[1].minus(v[4]), v[2].minus(v[3])];
            let near = v[0].plus(sums[0].times_real(COS_5[0]).plus(sums[1].times_real(COS_5[1])));
            let far = v[0].plus(sums[0].times_real(COS_5[1]).plus(sums[1].times_real(COS_5[0])));
            let near_turned = differences[0].times_real(SIN_5[0]).plus(differences[1].times_real(SIN_5[1]));
            let far_turned = differences[0].times_real(SIN_5[1]).minus(differences[1].times_real(SIN_5[0]));
            v[0] = v[0].plus(sums[0].plus(sums[1]));
            v[1] = near.minus_i(near_turned);
            v[2] = far.minus_i(far_turned);
            v[3] = far.plus_i(far_turned);
            v[4] = near.plus_i(near_turned);
        }
    }
}
