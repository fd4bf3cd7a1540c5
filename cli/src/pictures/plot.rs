//! Series in, a line plot as SVG out.

use super::Error;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (900, 420);

/// Pixels beside the plot for the names of more than one series.
const LEGEND_WIDTH: u32 = 150;

/// Points of one line that an SVG of this width can show: two for each column of pixels, its least and its greatest.
const COLUMNS: usize = 900;

/// Tableau's colors, told apart by the color-blind as well.
const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 96, 0),
    RGBColor(23, 130, 60),
    RGBColor(190, 30, 45),
    RGBColor(120, 80, 170),
    RGBColor(90, 90, 90),
];

const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// A plot of series over their index, as SVG.
///
/// With `log_y` the axis is logarithmic; what it cannot show (0, negative values) is drawn at its lower end. Values that
/// are not finite are left out. More than one series get a legend.
///
/// # Errors
/// When the plotting library fails.
pub fn line_plot(title: &str, x_label: &str, y_label: &str, series: &[(&str, Vec<f64>)], log_y: bool) -> Result<String, Error> {
    let points = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let lines: Vec<Line<'_>> = series.iter().map(|(name, values)| (*name, line(values, log_y))).collect();
    let axes = (&Axis::of_indices(points), &Axis::around(&lines, log_y));
    let mut svg = String::new();
    match draw(&mut svg, title, (x_label, y_label), &lines, axes) {
        Ok(()) => Ok(svg),
        Err(source) => Err(Error::Plot { title: title.to_owned(), source }),
    }
}

/// A series' name and its points, `y` being the logarithm on a logarithmic axis.
type Line<'a> = (&'a str, Vec<(f64, f64)>);

/// One axis: what it spans and where its ticks are, in the lines' own units.
#[derive(Clone)]
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    log: bool,
}

/// The points to draw: all of them, or the extremes of each column where there are more than can be seen.
fn line(values: &[f64], log: bool) -> Vec<(f64, f64)> {
    let scale = |v: f64| {
        if !log {
            v
        } else if v > 0.0 {
            v.log10()
        } else {
            f64::NEG_INFINITY
        }
    };
    let all = values.iter().enumerate().filter(|(_, v)| v.is_finite()).map(|(i, &v)| (i as f64, scale(v)));
    if values.len() <= 2 * COLUMNS {
        return all.collect();
    }
    let all: Vec<_> = all.collect();
    let extremes = |column: &[(f64, f64)]| {
        let least = column.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let greatest = column.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let mut pair: Vec<_> = least.into_iter().chain(greatest).collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair
    };
    all.chunks(all.len().div_ceil(COLUMNS).max(1)).flat_map(extremes).collect()
}

impl Axis {
    /// The x axis of series of so many points.
    fn of_indices(points: usize) -> Self {
        let range = 0.0..points.saturating_sub(1).max(1) as f64;
        let ticks = round_ticks(&range).into_iter().filter(|tick| tick.fract() == 0.0).collect();
        Self { range, ticks, log: false }
    }

    /// The y axis that shows all of the lines.
    fn around(lines: &[Line<'_>], log: bool) -> Self {
        let values = lines.iter().flat_map(|(_, points)| points).map(|&(_, y)| y).filter(|y| y.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if log {
            let (low, high) = (low.floor(), high.ceil().max(low.floor() + 1.0));
            // Eleven lines at most: every decade, every second, ...
            let step = ((high - low) / 11.0).ceil().max(1.0);
            let first = (low / step).ceil() as i32;
            let last = (high / step).floor() as i32;
            let ticks = (first..=last).map(|i| f64::from(i) * step).collect();
            return Self { range: low..high, ticks, log };
        }
        // Halves, because the difference of two float64 may be beyond float64.
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

/// Multiples of 1, 2 or 5 times a power of ten that lie in the range: four to nine of them.
fn round_ticks(range: &Range<f64>) -> Vec<f64> {
    let rough = (range.end - range.start) / 6.0;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|&s| s >= rough).unwrap_or(rough);
    let (first, last) = ((range.start / step).ceil(), (range.end / step).floor());
    // A range that is narrow beside its distance from 0 may have no round numbers that float64 tells apart.
    (0..20).map(|i| first + f64::from(i)).take_while(|&i| i <= last).map(|i| i * step).collect()
}

fn superscript(exponent: i32) -> String {
    exponent.to_string().chars().map(|c| if c == '-' { '⁻' } else { raised(c) }).collect()
}

fn raised(digit: char) -> char {
    let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digit.to_digit(10).map_or(digit, |d| raised[d as usize])
}

fn draw(
    svg: &mut String,
    title: &str,
    labels: (&str, &str),
    lines: &[Line<'_>],
    (across, up): (&Axis, &Axis),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20, &INK))
        .margin(14)
        .margin_right(if lines.len() > 1 { LEGEND_WIDTH } else { 24 })
        .x_label_area_size(48)
        .y_label_area_size(70)
        .build_cartesian_2d(across.clone(), up.clone())?;
    chart
        .configure_mesh()
        .x_desc(labels.0)
        .y_desc(labels.1)
        .axis_desc_style(("sans-serif", 15, &INK))
        .label_style(("sans-serif", 14, &INK))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .draw()?;
    for (i, ((name, points), color)) in lines.iter().zip(COLORS.iter().cycle()).enumerate() {
        let shown = points.iter().map(|&(x, y)| (x, y.max(up.range.start)));
        chart.draw_series(LineSeries::new(shown, color.stroke_width(1)))?;
        if lines.len() > 1 {
            // Beside the plot, where it hides no peak.
            let (left, middle) = ((SIZE.0 - LEGEND_WIDTH) as i32 + 12, 52 + 20 * i as i32);
            area.draw(&PathElement::new([(left, middle), (left + 18, middle)], color.stroke_width(2)))?;
            area.draw(&Text::new(*name, (left + 24, middle - 8), ("sans-serif", 14).into_font().color(&INK)))?;
        }
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(values: &[f64], log_y: bool) -> String {
        let svg = line_plot("mean spectrum", "bin", "1 + power", &[("power", values.to_vec())], log_y).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        svg
    }

    #[test]
    fn a_logarithmic_axis_has_decades() {
        let svg = plot(&[1.0, 40.0, 2.5e3], true);
        for label in ["10⁰", "10¹", "10²", "10³", "10⁴"] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(svg.contains("mean spectrum") && svg.contains("1 + power"));
        assert!(plot(&[1e-3, 1e40], true).contains("10⁰"));
    }

    #[test]
    fn no_value_is_too_strange_to_draw() {
        let strange = [0.0, -1.0, 5.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e-310];
        for log in [false, true] {
            plot(&strange, log);
            plot(&[], log);
            plot(&[0.0; 4], log);
            plot(&[7e12], log);
            plot(&[f64::NAN; 3], log);
            plot(&[1e15, 1e15 + 0.125], log);
            line_plot("", "", "", &[], log).unwrap();
        }
    }

    #[test]
    fn names_are_text_and_not_markup() {
        let svg = line_plot("a < b & c", "x", "y", &[("<one>", vec![1.0]), ("two", vec![2.0])], false).unwrap();
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("&lt;one&gt;") && svg.contains("two"));
    }

    #[test]
    fn long_series_keep_their_peaks_and_lose_their_weight() {
        let mut values = vec![1.0; 10_000];
        values[1234] = 1e6;
        let points = line(&values, true);
        assert!(points.len() <= 2 * COLUMNS && points.contains(&(1234.0, 6.0)));
        assert!(plot(&values, true).len() < 60_000);
    }

    #[test]
    fn ticks_are_round_numbers() {
        let check = |range: Range<f64>, expected: &[f64]| assert_eq!(round_ticks(&range), expected);
        check(0.0..100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(-1.0..5.0, &[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        check(1e12..2.6e12, &[1e12, 1.5e12, 2e12, 2.5e12]);
    }
}
