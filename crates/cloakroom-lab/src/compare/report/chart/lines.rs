//! Lines over a number of live logins: each has its dashes and its marker, and its name at its end.

use std::io;

use plotters::{
    element::{Circle, Polygon, Rectangle},
    style::ShapeStyle,
};

use super::{Axis, GRID, INK, Lies, PAPER, Scale, Sheet, WIDTH, picture};
use crate::compare::report::numbers::power;

pub(in super::super) struct Lines {
    /// What lies along the bottom.
    pub(in super::super) x: String,
    /// What is counted upwards, and how.
    pub(in super::super) y: String,
    pub(in super::super) scale: Scale,
    /// How a mark of the upright axis reads.
    pub(in super::super) mark: Box<dyn Fn(f64) -> String>,
    /// At most as many as there are dashes and markers.
    pub(in super::super) series: Vec<Series>,
}

pub(in super::super) struct Series {
    pub(in super::super) name: String,
    /// Ascending.
    pub(in super::super) points: Vec<Point>,
}

#[derive(Clone, Copy)]
pub(in super::super) struct Point {
    pub(in super::super) x: f64,
    pub(in super::super) y: f64,
    pub(in super::super) interval: Option<(f64, f64)>,
}

impl Lines {
    /// Draws them.
    pub(in super::super) fn draw(&self) -> io::Result<String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ends = points().flat_map(|point| [Some(point.y), point.interval.map(|(_, high)| high)]).flatten();
        let across = Axis::over(points().map(|point| point.x), Scale::Log, (LEFT, WIDTH - RIGHT));
        let up = Axis::over(ends, self.scale, (HEIGHT - FOOT, TOP));
        picture(HEIGHT, |sheet| {
            sheet.soft_text(&self.y, (0, 9), Lies::Left)?;
            for mark in up.marks() {
                sheet.line((LEFT, up.at(mark)), (WIDTH - RIGHT, up.at(mark)), GRID, 1)?;
                sheet.soft_text(&(self.mark)(mark), (LEFT - 8, up.at(mark)), Lies::Right)?;
            }
            for mark in across.marks() {
                let x = across.at(mark);
                sheet.line((x, HEIGHT - FOOT), (x, HEIGHT - FOOT + 5), INK, 1)?;
                sheet.soft_text(&power(mark), (x, HEIGHT - FOOT + 15), Lies::Middle)?;
            }
            sheet.line((LEFT, HEIGHT - FOOT), (WIDTH - RIGHT, HEIGHT - FOOT), INK, 1)?;
            sheet.soft_text(&self.x, ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10), Lies::Middle)?;
            for (number, series) in self.series.iter().enumerate() {
                line(sheet, (&across, &up), number, series)?;
            }
            names(sheet, (&across, &up), &self.series)
        })
    }
}

fn line(sheet: &Sheet<'_>, (across, up): (&Axis, &Axis), number: usize, series: &Series) -> io::Result<()> {
    let at = |point: &Point| (across.at(point.x), up.at(point.y));
    let path: Vec<(i32, i32)> = series.points.iter().map(at).collect();
    match DASHES[number % DASHES.len()] {
        None => {
            for pair in path.windows(2) {
                sheet.line(pair[0], pair[1], INK, 2)?;
            }
        }
        Some(dash) => sheet.dashed(&path, dash, 2)?,
    }
    for point in &series.points {
        let x = across.at(point.x);
        if let Some((low, high)) = point.interval {
            sheet.line((x, up.at(low)), (x, up.at(high)), INK, 1)?;
            for y in [up.at(low), up.at(high)] {
                sheet.line((x - 4, y), (x + 4, y), INK, 1)?;
            }
        }
        marker(sheet, number, at(point))?;
    }
    Ok(())
}

/// A full disc, an empty square, a full triangle, an empty disc.
fn marker(sheet: &Sheet<'_>, number: usize, (x, y): (i32, i32)) -> io::Result<()> {
    let (full, empty) = (ShapeStyle::from(&INK).filled(), ShapeStyle::from(&PAPER).filled());
    let edge = ShapeStyle::from(&INK).stroke_width(2);
    let drawn = match number % DASHES.len() {
        0 => sheet.area.draw(&Circle::new((x, y), 4, full)),
        1 => {
            let corners = [(x - 4, y - 4), (x + 4, y + 4)];
            let inside = sheet.area.draw(&Rectangle::new(corners, empty));
            inside.and_then(|()| sheet.area.draw(&Rectangle::new(corners, edge)))
        }
        2 => sheet.area.draw(&Polygon::new(vec![(x, y - 6), (x - 6, y + 4), (x + 6, y + 4)], full)),
        _ => {
            let inside = sheet.area.draw(&Circle::new((x, y), 4, empty));
            inside.and_then(|()| sheet.area.draw(&Circle::new((x, y), 4, edge)))
        }
    };
    drawn.map_err(io::Error::other)
}

/// Names at the ends of their lines, pushed apart where they would lie on each other.
fn names(sheet: &Sheet<'_>, (across, up): (&Axis, &Axis), series: &[Series]) -> io::Result<()> {
    let ends = series.iter().enumerate().filter_map(|(number, series)| {
        series.points.last().map(|last| (number, series, (across.at(last.x), up.at(last.y))))
    });
    let mut ends: Vec<_> = ends.collect();
    ends.sort_by_key(|(.., (_, y))| *y);
    let places = apart(&ends.iter().map(|(.., (_, y))| *y).collect::<Vec<_>>());
    let column = WIDTH - RIGHT + 14;
    for ((number, series, end), y) in ends.into_iter().zip(places) {
        sheet.line((end.0 + 7, end.1), (column, y), GRID, 1)?;
        marker(sheet, number, (column + 6, y))?;
        sheet.text(&series.name, (column + 18, y), Lies::Left)?;
    }
    Ok(())
}

/// The nearest places to ascending ones that keep their distance and stay on the sheet.
fn apart(wanted: &[i32]) -> Vec<i32> {
    let mut places: Vec<i32> = Vec::with_capacity(wanted.len());
    for y in wanted {
        places.push(places.last().map_or(*y, |last| (*y).max(last + NAME)));
    }
    let mut limit = HEIGHT - FOOT;
    for place in places.iter_mut().rev() {
        *place = (*place).min(limit);
        limit = *place - NAME;
    }
    places
}

/// Drawn through, long, short, and in points.
const DASHES: [Option<(i32, i32)>; 4] = [None, Some((12, 5)), Some((6, 4)), Some((2, 4))];

const HEIGHT: i32 = 270;
const LEFT: i32 = 74;
const RIGHT: i32 = 190;
const TOP: i32 = 28;
const FOOT: i32 = 46;
const NAME: i32 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance_and_stay_on_the_sheet() {
        assert_eq!(apart(&[50, 100]), [50, 100]);
        assert_eq!(apart(&[50, 51, 52]), [50, 50 + NAME, 50 + 2 * NAME]);
        let bottom = HEIGHT - FOOT;
        assert_eq!(apart(&[bottom, bottom]), [bottom - NAME, bottom]);
    }
}
