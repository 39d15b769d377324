//! A matrix of shares: in each cell two bars, one above the other, with what they are in percent.

use std::io;

use cloakroom_core::method::Method;
use plotters::{element::Rectangle, style::ShapeStyle};

use super::{GRID, INK, Lies, SOFT, Sheet, WIDTH, fill, picture};
use crate::compare::report::numbers::percent;

pub(in super::super) struct Matrix {
    pub(in super::super) methods: Vec<Method>,
    /// What the upper and the lower bar of a cell are.
    pub(in super::super) bars: [String; 2],
    pub(in super::super) rows: Vec<MatrixRow>,
}

pub(in super::super) struct MatrixRow {
    pub(in super::super) title: String,
    /// Below the title.
    pub(in super::super) place: String,
    /// In the order of the methods.
    pub(in super::super) cells: Vec<Option<MatrixCell>>,
}

/// Two shares of one.
#[derive(Clone, Copy)]
pub(in super::super) struct MatrixCell {
    pub(in super::super) upper: f64,
    pub(in super::super) lower: f64,
}

impl Matrix {
    /// Draws it.
    pub(in super::super) fn draw(&self) -> io::Result<String> {
        let height = HEAD + i32::try_from(self.rows.len()).unwrap_or_default() * ROW + FOOT;
        picture(height, |sheet| {
            for (column, method) in self.methods.iter().enumerate() {
                sheet.title(method.name(), (self.left(column), HEAD / 2))?;
            }
            let mut top = HEAD;
            for row in &self.rows {
                sheet.line((0, top), (WIDTH, top), GRID, 1)?;
                sheet.text(&row.title, (0, top + ROW / 2 - 8), Lies::Left)?;
                sheet.soft_text(&row.place, (0, top + ROW / 2 + 9), Lies::Left)?;
                for (column, (cell, method)) in row.cells.iter().zip(&self.methods).enumerate() {
                    if let Some(cell) = cell {
                        bar(sheet, (self.left(column), top + ROW / 2 - 8), cell.upper, *method)?;
                        bar(sheet, (self.left(column), top + ROW / 2 + 9), cell.lower, *method)?;
                    }
                }
                top += ROW;
            }
            sheet.line((0, top), (WIDTH, top), GRID, 1)?;
            sheet.soft_text(&self.bars.join("   "), (0, top + FOOT / 2 + 2), Lies::Left)
        })
    }

    fn left(&self, column: usize) -> i32 {
        let columns = i32::try_from(self.methods.len()).unwrap_or(1).max(1);
        NAMES + (WIDTH - NAMES) / columns * i32::try_from(column).unwrap_or_default()
    }
}

fn bar(sheet: &Sheet<'_>, (left, middle): (i32, i32), share: f64, method: Method) -> io::Result<()> {
    let full = (f64::from(BAR) * share.clamp(0.0, 1.0)).round() as i32;
    let (top, bottom) = (middle - 5, middle + 5);
    let draw = |corners, style| sheet.area.draw(&Rectangle::new(corners, style)).map_err(io::Error::other);
    draw([(left, top), (left + full, bottom)], ShapeStyle::from(&fill(method)).filled())?;
    draw([(left, top), (left + BAR, bottom)], ShapeStyle::from(&SOFT))?;
    if full > 0 {
        draw([(left, top), (left + full, bottom)], ShapeStyle::from(&INK))?;
    }
    sheet.text(&percent(share), (left + BAR + 6, middle), Lies::Left)
}

const NAMES: i32 = 262;
const HEAD: i32 = 26;
const ROW: i32 = 44;
const BAR: i32 = 58;
const FOOT: i32 = 26;
