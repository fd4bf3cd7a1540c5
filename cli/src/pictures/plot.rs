//! Line plots of series, as SVG.

use super::axis::Axis;
use plotters::prelude::*;
use thiserror::Error;

/// Width and height of the SVG, in pixels.
const SIZE: (u32, u32) = (900, 420);

/// Width of the legend beside the plot, in pixels.
const LEGEND_WIDTH: u32 = 150;

/// Columns of a longer series. Each column has two points, its least and its greatest value.
const COLUMNS: usize = 900;

/// Based on Tableau's colors; color-blind readers can distinguish them.
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

/// The plotting library failed.
#[derive(Debug, Error)]
#[error("cannot draw the plot {title:?}")]
pub(crate) struct PlotError {
    title: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// A plot of series over their index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinePlot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    /// Whether the y axis is logarithmic. Values of 0 or less are then drawn at its lower end.
    pub(crate) log_y: bool,
}

impl LinePlot<'_> {
    /// The plot as SVG. Values that are not finite are left out. Two or more series get a legend.
    ///
    /// # Errors
    /// The plotting library fails.
    pub(crate) fn svg(&self, series: &[(&str, Vec<f64>)]) -> Result<String, PlotError> {
        let points = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let lines: Vec<Line<'_>> = series.iter().map(|(name, values)| (*name, line(values, self.log_y))).collect();
        let y_values = lines.iter().flat_map(|(_, points)| points).map(|&(_, y)| y);
        let axes = (Axis::of_indices(points), Axis::around(y_values, self.log_y));
        let mut svg = String::new();
        match self.draw(&mut svg, &lines, axes) {
            Ok(()) => Ok(svg),
            Err(source) => Err(PlotError { title: self.title.to_owned(), source }),
        }
    }

    fn draw(
        &self,
        svg: &mut String,
        lines: &[Line<'_>],
        (x_axis, y_axis): (Axis, Axis),
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let lowest = y_axis.range.start;
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20, &INK))
            .margin(14)
            .margin_right(if lines.len() > 1 { LEGEND_WIDTH } else { 24 })
            .x_label_area_size(48)
            .y_label_area_size(70)
            .build_cartesian_2d(x_axis, y_axis)?;
        chart
            .configure_mesh()
            .x_desc(self.x_label)
            .y_desc(self.y_label)
            .axis_desc_style(("sans-serif", 15, &INK))
            .label_style(("sans-serif", 14, &INK))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .draw()?;
        for (i, ((name, points), color)) in lines.iter().zip(COLORS.iter().cycle()).enumerate() {
            let shown = points.iter().map(|&(x, y)| (x, y.max(lowest)));
            chart.draw_series(LineSeries::new(shown, color.stroke_width(1)))?;
            if lines.len() > 1 {
                // Beside the plot, so that no peak is hidden.
                let (left, middle) = ((SIZE.0 - LEGEND_WIDTH) as i32 + 12, 52 + 20 * i as i32);
                area.draw(&PathElement::new([(left, middle), (left + 18, middle)], color.stroke_width(2)))?;
                area.draw(&Text::new(*name, (left + 24, middle - 8), ("sans-serif", 14).into_font().color(&INK)))?;
            }
        }
        area.present()?;
        Ok(())
    }
}

/// Name and points (x, y) of a series. On a logarithmic axis, y is the logarithm.
type Line<'a> = (&'a str, Vec<(f64, f64)>);

/// The points of a series: all points, or the least and the greatest value of each column if the series is longer.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(values: &[f64], log_y: bool) -> String {
        let plot = LinePlot { title: "mean spectrum", x_label: "bin", y_label: "1 + power", log_y };
        let svg = plot.svg(&[("power", values.to_vec())]).unwrap();
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
    fn extreme_values_are_drawn() {
        let extreme = [0.0, -1.0, 5.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e-310];
        for log in [false, true] {
            plot(&extreme, log);
            plot(&[], log);
            plot(&[0.0; 4], log);
            plot(&[7e12], log);
            plot(&[f64::NAN; 3], log);
            plot(&[1e15, 1e15 + 0.125], log);
            LinePlot { title: "", x_label: "", y_label: "", log_y: log }.svg(&[]).unwrap();
        }
    }

    #[test]
    fn names_are_escaped() {
        let plot = LinePlot { title: "a < b & c", x_label: "x", y_label: "y", log_y: false };
        let svg = plot.svg(&[("<one>", vec![1.0]), ("two", vec![2.0])]).unwrap();
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("&lt;one&gt;") && svg.contains("two"));
    }

    #[test]
    fn long_series_keep_their_peaks_in_few_points() {
        let mut values = vec![1.0; 10_000];
        values[1234] = 1e6;
        let points = line(&values, true);
        assert!(points.len() <= 2 * COLUMNS && points.contains(&(1234.0, 6.0)));
        assert!(plot(&values, true).len() < 60_000);
    }
}
