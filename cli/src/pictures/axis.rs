//! One axis of a line plot: range, ticks and labels.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// Most ticks of a logarithmic axis.
const MAX_DECADES: f64 = 11.0;

/// Most ticks of a linear axis.
const MAX_TICKS: i32 = 20;

/// Range and ticks, in the units of the points; on a logarithmic axis these are decades.
#[derive(Clone)]
pub(super) struct Axis {
    pub(super) range: Range<f64>,
    ticks: Vec<f64>,
    log: bool,
}

impl Axis {
    /// The x axis of series with `points` points.
    pub(super) fn of_indices(points: usize) -> Self {
        let range = 0.0..points.saturating_sub(1).max(1) as f64;
        let ticks = round_ticks(&range).into_iter().filter(|tick| tick.fract() == 0.0).collect();
        Self { range, ticks, log: false }
    }

    /// The y axis that shows all finite values.
    pub(super) fn around(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let values = values.filter(|y| y.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if log {
            let (low, high) = (low.floor(), high.ceil().max(low.floor() + 1.0));
            // A tick at every decade, or every second, third, ... decade.
            let step = ((high - low) / MAX_DECADES).ceil().max(1.0);
            let first = (low / step).ceil() as i32;
            let last = (high / step).floor() as i32;
            let ticks = (first..=last).map(|i| f64::from(i) * step).collect();
            return Self { range: low..high, ticks, log };
        }
        // Halves, because the difference of two float64 values may overflow.
        let margin = match 2.0 * (0.05 * (high / 2.0 - low / 2.0)) {
            0.0 => (low.abs() * 0.05).max(1e-3),
            margin => margin,
        };
        let range = (low - margin).max(f64::MIN / 4.0)..(high + margin).min(f64::MAX / 4.0);
        let ticks = round_ticks(&range);
        Self { range, ticks, log }
    }

    fn label(&self, y: f64) -> String {
        if self.log {
            return format!("10{}", superscript(y as i32));
        }
        let step = self.ticks.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(1.0);
        let largest = self.ticks.iter().fold(0.0f64, |largest, tick| largest.max(tick.abs()));
        if !(1e-3..1e6).contains(&largest) {
            return if y == 0.0 { "0".to_owned() } else { format!("{y:.2e}") };
        }
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        format!("{y:.decimals$}")
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

/// Four to nine ticks in the range: multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(range: &Range<f64>) -> Vec<f64> {
    let rough = (range.end - range.start) / 6.0;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|&s| s >= rough).unwrap_or(rough);
    let (first, last) = ((range.start / step).ceil(), (range.end / step).floor());
    // In a range that is narrow and far from 0, float64 may not resolve the ticks: `MAX_TICKS` bounds their number.
    (0..MAX_TICKS).map(|i| first + f64::from(i)).take_while(|&i| i <= last).map(|i| i * step).collect()
}

fn superscript(exponent: i32) -> String {
    exponent.to_string().chars().map(|c| if c == '-' { '⁻' } else { raised(c) }).collect()
}

fn raised(digit: char) -> char {
    let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digit.to_digit(10).map_or(digit, |d| raised[d as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let check = |range: Range<f64>, expected: &[f64]| assert_eq!(round_ticks(&range), expected);
        check(0.0..100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(-1.0..5.0, &[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        check(1e12..2.6e12, &[1e12, 1.5e12, 2e12, 2.5e12]);
    }
}
