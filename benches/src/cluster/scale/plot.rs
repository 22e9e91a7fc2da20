//! The curves as a picture: throughput by stores, from the model; by regions, as measured.

use std::fs;
use std::path::Path;

use load::chart::{self, Chart, Line, Marks, Titles};

use super::FEW;
use crate::cluster::Result;

/// Stores between two marks of the axis.
const STORES_EACH: i64 = 3;
const GREY: &str = "#8a94a3";
/// Operation, keys, deal of regions, and how its curve is called and drawn.
const CURVES: [([&str; 3], &str, &str); 5] = [
    (["put", "uniform", "balanced"], "puts, uniform", "#2a6fdb"),
    (["put", "zipfian", "balanced"], "puts, zipfian", "#d9822b"),
    (["put", "uniform", "random"], "puts, unbalanced", "#c0392b"),
    (["get", "uniform", "balanced"], "gets, uniform", "#2e9e5b"),
    (["get", "zipfian", "balanced"], "gets, zipfian", "#a05fc4"),
];

/// Points, as they become known.
#[derive(Clone, Debug, Default)]
pub(super) struct Plot {
    /// Curve, stores, and how much throughput has grown.
    stores: Vec<([&'static str; 3], f64, f64)>,
    /// Operation, times as many regions, and what is left of throughput.
    regions: Vec<(String, f64, f64)>,
}

impl Plot {
    /// With so many stores there is so many times the throughput.
    pub(super) fn stores(
        &mut self,
        (operation, pick, deal): (&'static str, &'static str, &'static str),
        stores: f64,
        times: f64,
    ) {
        self.stores.push(([operation, pick, deal], stores, times));
    }

    /// With so many times the regions there is so many times the throughput.
    pub(super) fn regions(&mut self, operation: &str, regions: f64, times: f64) {
        self.regions.push((operation.to_owned(), regions, times));
    }

    /// Draws into a file what was measured: a chart without all of its curves is left out.
    ///
    /// # Errors
    /// If there is none, or the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut charts = vec![self.by_stores(), self.by_regions()];
        charts.retain(|chart| chart.lines.iter().all(|line| line.points.len() > 1));
        if charts.is_empty() {
            return Err("nothing that would be drawn was measured".to_owned());
        }
        fs::write(path, chart::file(&charts))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    fn by_stores(&self) -> Chart {
        let across = |stores: f64| stores / STORES_EACH as f64;
        let mut lines: Vec<Line> = CURVES
            .iter()
            .map(|(curve, name, colour)| {
                let points = self.stores.iter().filter(|(of, ..)| of == curve);
                let points = points.map(|(_, stores, times)| (across(*stores), *times)).collect();
                Line { name, colour, points }
            })
            .collect();
        let ends = lines.first().map_or(Vec::new(), |line| line.points.clone());
        let linear = ends.iter().map(|(across, _)| (*across, *across)).collect();
        lines.insert(0, Line { name: "linear", colour: GREY, points: linear });
        Chart {
            lines,
            marks: Marks {
                across: |mark| (STORES_EACH * mark).to_string(),
                up: |times| format!("{times} ×"),
            },
            has_zero: true,
            titles: Some(Titles {
                above: "Throughput by stores, times that of 3 (model, measured costs)",
                across: "stores, each with a machine of its own",
            }),
        }
    }

    fn by_regions(&self) -> Chart {
        let line = |operation: &str, name, colour| {
            let points = self.regions.iter().filter(|(of, ..)| of == operation);
            let points = points.map(|(_, regions, times)| (regions.log10(), 100.0 * times));
            // The cluster that they are compared with.
            let points = std::iter::once((0.0, 100.0)).chain(points).collect();
            Line { name, colour, points }
        };
        Chart {
            lines: vec![line("put", "puts", "#2a6fdb"), line("get", "gets", "#2e9e5b")],
            marks: Marks {
                across: |tens| {
                    let tens = u32::try_from(tens).unwrap_or(0);
                    (FEW as u64 * 10_u64.pow(tens)).to_string()
                },
                up: |percent| format!("{percent} %"),
            },
            has_zero: true,
            titles: Some(Titles {
                above: "Throughput by regions, of that with 10 (measured, one machine)",
                across: "regions",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Plot {
        let mut plot = Plot::default();
        for ([operation, pick, deal], ..) in CURVES {
            plot.stores((operation, pick, deal), 3.0, 1.0);
            plot.stores((operation, pick, deal), 9.0, 2.5);
        }
        for operation in ["put", "get"] {
            plot.regions(operation, 100.0, 0.8);
        }
        plot
    }

    #[test]
    fn curves_lie_where_their_points_are() {
        let chart = whole().by_stores();
        assert_eq!(chart.lines.len(), 1 + CURVES.len());
        assert_eq!(chart.lines[0].points, [(1.0, 1.0), (3.0, 3.0)]);
        assert_eq!(chart.lines[1].points, [(1.0, 1.0), (3.0, 2.5)]);
        assert_eq!((chart.marks.across)(3), "9");
        let chart = whole().by_regions();
        assert_eq!(chart.lines[0].points, [(0.0, 100.0), (2.0, 80.0)]);
        assert_eq!((chart.marks.across)(2), "1000");
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scale.svg");
        let mut part = whole();
        part.regions.retain(|(operation, ..)| operation == "put");
        part.stores.clear();
        assert!(Plot::default().write(&path).is_err() && part.write(&path).is_err());
        assert!(!path.exists());
        let charts = |plot: &Plot| {
            plot.write(&path).unwrap();
            let drawn = fs::read_to_string(&path).unwrap();
            assert!(drawn.contains("puts, zipfian") && !drawn.contains("NaN"), "{drawn}");
            drawn.matches("class=\"title\"").count()
        };
        part.stores = whole().stores;
        assert_eq!((charts(&part), charts(&whole())), (1, 2));
    }
}
