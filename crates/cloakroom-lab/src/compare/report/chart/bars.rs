//! Bars from left to right, one below the other, in groups: each has its method's hatch, its name before and its value behind it.

use std::io;

use cloakroom_core::method::Method;
use plotters::{element::Rectangle, style::ShapeStyle};

use super::{Axis, GRID, INK, Lies, PAPER, Scale, Sheet, WIDTH, fill, picture, width};

/// All groups share an axis.
pub(in super::super) struct Bars {
    /// What the axis counts.
    pub(in super::super) axis: String,
    pub(in super::super) scale: Scale,
    /// How a mark of the axis reads.
    pub(in super::super) mark: Box<dyn Fn(f64) -> String>,
    pub(in super::super) groups: Vec<BarGroup>,
}

pub(in super::super) struct BarGroup {
    pub(in super::super) title: String,
    pub(in super::super) bars: Vec<Bar>,
    /// A value to compare with, and its name: a dashed line through all bars of the group.
    pub(in super::super) bound: Option<(f64, String)>,
}

pub(in super::super) struct Bar {
    pub(in super::super) method: Method,
    pub(in super::super) name: String,
    pub(in super::super) value: f64,
    /// What it may be, from and to.
    pub(in super::super) interval: Option<(f64, f64)>,
    /// The value in words.
    pub(in super::super) label: String,
}

impl Bars {
    /// Draws them.
    pub(in super::super) fn draw(&self) -> io::Result<String> {
        let rows: i32 = self.groups.iter().map(|group| TITLE + count(group.bars.len()) * ROW + GAP).sum();
        let names = self.groups.iter().flat_map(|group| &group.bars).map(|bar| width(&bar.name)).max();
        let left = names.unwrap_or_default().clamp(NAMES, WIDTH / 3) + 8;
        let axis = Axis::over(self.values(), self.scale, (left, WIDTH - LABELS));
        picture(rows + FOOT, |sheet| {
            for mark in axis.marks() {
                sheet.line((axis.at(mark), TITLE - 4), (axis.at(mark), rows), GRID, 1)?;
                sheet.soft_text(&(self.mark)(mark), (axis.at(mark), rows + 10), Lies::Middle)?;
            }
            sheet.soft_text(&self.axis, ((left + WIDTH - LABELS) / 2, rows + 28), Lies::Middle)?;
            let mut top = 0;
            for group in &self.groups {
                group.draw(sheet, &axis, top)?;
                top += TITLE + count(group.bars.len()) * ROW + GAP;
            }
            Ok(())
        })
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let bars = self.groups.iter().flat_map(|group| &group.bars);
        let ends = bars.flat_map(|bar| [Some(bar.value), bar.interval.map(|(_, high)| high)]);
        ends.chain(self.groups.iter().map(|group| group.bound.as_ref().map(|(bound, _)| *bound))).flatten()
    }
}

impl BarGroup {
    fn draw(&self, sheet: &Sheet<'_>, axis: &Axis, top: i32) -> io::Result<()> {
        // The grid does not run through words.
        let words = [(0, top), (WIDTH, top + TITLE - 2)];
        sheet.area.draw(&Rectangle::new(words, ShapeStyle::from(&PAPER).filled())).map_err(io::Error::other)?;
        sheet.title(&self.title, (0, top + TITLE / 2))?;
        for (place, bar) in self.bars.iter().enumerate() {
            bar.draw(sheet, axis, top + TITLE + count(place) * ROW)?;
        }
        if let Some((bound, name)) = &self.bound {
            let (x, bottom) = (axis.at(*bound), top + TITLE + count(self.bars.len()) * ROW);
            sheet.dashed(&[(x, top + TITLE - 2), (x, bottom)], (5, 4), 2)?;
            sheet.text(name, (WIDTH, top + TITLE / 2), Lies::Right)?;
        }
        Ok(())
    }
}

impl Bar {
    fn draw(&self, sheet: &Sheet<'_>, axis: &Axis, top: i32) -> io::Result<()> {
        let middle = top + ROW / 2;
        sheet.text(&self.name, (axis.begin() - 8, middle), Lies::Right)?;
        if !self.value.is_finite() {
            return sheet.text(&self.label, (axis.base() + 6, middle), Lies::Left);
        }
        let (begin, end) = (axis.base().min(axis.at(self.value)), axis.base().max(axis.at(self.value)));
        // Nothing is a stroke, so that it is not taken for something that is missing.
        let corners = [(begin, middle - BAR / 2), (end.max(begin + 1), middle + BAR / 2)];
        for style in [ShapeStyle::from(&fill(self.method)).filled(), ShapeStyle::from(&INK)] {
            sheet.area.draw(&Rectangle::new(corners, style)).map_err(io::Error::other)?;
        }
        let mut right = end;
        if let Some((low, high)) = self.interval {
            let (low, high) = (axis.at(low), axis.at(high));
            // Visible on its hatch: ink on paper.
            for (colour, width) in [(PAPER, 4), (INK, 2)] {
                sheet.line((low, middle), (high, middle), colour, width)?;
            }
            for x in [low, high] {
                sheet.line((x, middle - 4), (x, middle + 4), INK, 2)?;
            }
            right = right.max(high);
        }
        behind(sheet, &self.label, (right + 6, middle))
    }
}

/// A label, on paper so that the grid does not run through it.
fn behind(sheet: &Sheet<'_>, label: &str, at: (i32, i32)) -> io::Result<()> {
    let corners = [(at.0 - 2, at.1 - 7), (at.0 + width(label), at.1 + 7)];
    sheet.area.draw(&Rectangle::new(corners, ShapeStyle::from(&PAPER).filled())).map_err(io::Error::other)?;
    sheet.text(label, at, Lies::Left)
}

fn count(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

const NAMES: i32 = 112;
const LABELS: i32 = 132;
const TITLE: i32 = 26;
const ROW: i32 = 20;
const BAR: i32 = 12;
const GAP: i32 = 10;
const FOOT: i32 = 40;
