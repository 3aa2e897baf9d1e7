//! Figures as SVG: two panels, one above the other, with a line over time for each run.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

const COLOURS: [&str; 6] = ["#c0392b", "#2c6fbb", "#888888", "#2e8b57", "#b8860b", "#7d3c98"];

/// Of a panel, in pixels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;
const LEFT: f64 = 60.0;

/// How many names of curves stand in a line.
const NAMES_IN_A_LINE: usize = 3;

/// What was seen of one run.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The name of the run.
    pub name: String,
    /// In the order of time.
    pub points: Vec<Point>,
}

/// What was seen at one time.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Since the start of the run.
    pub seconds: f64,
    /// One for each panel.
    pub values: [f64; 2],
}

/// How one of the values is drawn.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What the value is; stands above the panel.
    pub what: &'static str,
    /// The value at the upper edge; more than 0.
    pub most: f64,
    /// The text beside the upper edge.
    pub label: String,
}

/// The largest value for this panel (0 or 1), at least 1.
#[must_use]
pub fn most(curves: &[Curve], panel: usize) -> f64 {
    let points = curves.iter().flat_map(|curve| &curve.points);
    points.map(|point| point.values[panel]).fold(1.0, f64::max)
}

/// Writes the figure.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, title: &str, panels: &[Panel; 2], curves: &[Curve]) -> io::Result<()> {
    let longest = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.seconds);
    let seconds = longest.fold(1.0, f64::max);
    let lines = curves.len().div_ceil(NAMES_IN_A_LINE) as f64;
    let (width, height) = (LEFT + WIDTH + 20.0, 2.0 * HEIGHT + 112.0 + 18.0 * lines);
    let mut svg = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{title}</text>"
    );
    for (nth, panel) in panels.iter().enumerate() {
        draw(&mut svg, 50.0 + (HEIGHT + 35.0) * nth as f64, panel, nth, seconds, curves);
    }
    for (nth, curve) in curves.iter().enumerate() {
        let x = LEFT + 215.0 * (nth % NAMES_IN_A_LINE) as f64;
        let y = height - 12.0 - 18.0 * (lines - 1.0 - (nth / NAMES_IN_A_LINE) as f64);
        let colour = COLOURS[nth % COLOURS.len()];
        let took = curve.points.last().map_or(0.0, |point| point.seconds);
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}: {took:.1} s</text>",
            curve.name
        );
    }
    svg.push_str("</svg>\n");
    fs::write(path, svg)
}

/// The panel for the values with this index, `top` pixels below the upper edge of the figure.
fn draw(svg: &mut String, top: f64, panel: &Panel, index: usize, seconds: f64, curves: &[Curve]) {
    let bottom = top + HEIGHT;
    let Panel { what, most, label } = panel;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\">{what}</text>\n<text x=\"8\" y=\"{}\">{label}</text>\n\
         <path d=\"M{LEFT},{top}V{bottom}H{}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{}\" y=\"{}\">{seconds:.0} s</text>",
        top - 6.0,
        top + 6.0,
        LEFT + WIDTH,
        LEFT + WIDTH - 20.0,
        bottom + 16.0,
    );
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let points = curve.points.iter().map(|point| {
            let x = LEFT + point.seconds / seconds * WIDTH;
            format!("{x:.1},{:.1}", bottom - point.values[index] / most * HEIGHT)
        });
        let points: Vec<String> = points.collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            points.join(" ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_panels_have_a_line_for_each_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("figure.svg");
        let points = vec![
            Point { seconds: 0.0, values: [0.0, 2.0] },
            Point { seconds: 4.0, values: [1.0, 8.0] },
        ];
        let curves =
            ["a", "b", "c", "d"].map(|name| Curve { name: name.into(), points: points.clone() });
        let panels = [
            Panel { what: "share", most: 1.0, label: "100 %".into() },
            Panel { what: "number", most: most(&curves, 1), label: "8".into() },
        ];
        write(&path, "a title", &panels, &curves).expect("room");
        let svg = fs::read_to_string(&path).expect("there");
        assert_eq!(svg.matches("<polyline").count(), 8);
        // From the lower left to the upper right corner.
        assert_eq!(svg.matches("points=\"60.0,210.0 700.0,50.0\"").count(), 4);
        assert_eq!(svg.matches("points=\"60.0,365.0 700.0,245.0\"").count(), 4);
        for text in ["a title", ">share<", ">number<", ">100 %<", ">8<", ">4 s<", ">d: 4.0 s<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
