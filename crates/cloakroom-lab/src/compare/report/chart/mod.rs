//! Pictures as SVG, drawn by `plotters`, that can be read in black and white: each method has its hatch, its dashes and its marker, and
//! names stand beside what they name.
//!
//! `plotters` writes colours; what it writes is then changed to the page's own (`var(--ink)`, which is dark on light or light on dark) and
//! to its hatches. All coordinates are pixels.

mod axis;
mod bars;
mod lines;
mod matrix;

use std::io;

use cloakroom_core::method::Method;
use plotters::{
    coord::Shift,
    element::{DashedPathElement, PathElement, Text},
    prelude::{DrawingArea, IntoDrawingArea, IntoFont, RGBColor, SVGBackend, ShapeStyle, TextStyle},
    style::{
        FontStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

pub(super) use self::{
    axis::{Axis, Scale},
    bars::{Bar, BarGroup, Bars},
    lines::{Lines, Point, Series},
    matrix::{Matrix, MatrixCell, MatrixRow},
};

/// As wide as the text of an A4 page.
const WIDTH: i32 = 720;

/// What stands for the page's colours until the picture is finished.
const INK: RGBColor = RGBColor(0, 0, 1);
const SOFT: RGBColor = RGBColor(0, 0, 2);
const GRID: RGBColor = RGBColor(0, 0, 3);
const PAPER: RGBColor = RGBColor(0, 0, 4);
const COLOURS: [(RGBColor, &str); 4] =
    [(INK, "var(--ink)"), (SOFT, "var(--soft)"), (GRID, "var(--line)"), (PAPER, "var(--card)")];

const fn fill(method: Method) -> RGBColor {
    RGBColor(0, 1, method as u8)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A sheet to draw on.
struct Sheet<'a> {
    area: Area<'a>,
}

/// How a text lies at its place.
#[derive(Clone, Copy)]
enum Lies {
    Left,
    Middle,
    Right,
}

/// Draws.
fn picture(height: i32, paint: impl FnOnce(&Sheet<'_>) -> io::Result<()>) -> io::Result<String> {
    let mut svg = String::new();
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    {
        let sheet = Sheet { area: SVGBackend::with_string(&mut svg, size).into_drawing_area() };
        paint(&sheet)?;
        sheet.area.present().map_err(io::Error::other)?;
    }
    Ok(in_page_colours(&svg, height))
}

fn in_page_colours(svg: &str, height: i32) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let mut body = body.replace("font-family=\"sans-serif\" ", "").replace("opacity=\"1\" ", "");
    let named = |colour: RGBColor| format!("\"#{:02X}{:02X}{:02X}\"", colour.0, colour.1, colour.2);
    for (colour, variable) in COLOURS {
        body = body.replace(&named(colour), &format!("\"{variable}\""));
    }
    for method in Method::ALL {
        body = body.replace(&named(fill(method)), &format!("\"url(#fill-{})\"", method.name()));
    }
    // What it shows is said by what stands around it.
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" aria-hidden=\"true\" xmlns=\"http://www.w3.org/2000/svg\">{body}")
}

impl Sheet<'_> {
    fn text(&self, text: &str, at: (i32, i32), lies: Lies) -> io::Result<()> {
        self.styled(text, at, lies, (INK, FontStyle::Normal))
    }

    fn soft_text(&self, text: &str, at: (i32, i32), lies: Lies) -> io::Result<()> {
        self.styled(text, at, lies, (SOFT, FontStyle::Normal))
    }

    fn title(&self, text: &str, at: (i32, i32)) -> io::Result<()> {
        self.styled(text, at, Lies::Left, (INK, FontStyle::Bold))
    }

    fn styled(&self, text: &str, at: (i32, i32), lies: Lies, (colour, style): (RGBColor, FontStyle)) -> io::Result<()> {
        let side = match lies {
            Lies::Left => HPos::Left,
            Lies::Middle => HPos::Center,
            Lies::Right => HPos::Right,
        };
        let font = TextStyle::from(("sans-serif", FONT, style).into_font());
        let style = font.color(&colour).pos(Pos::new(side, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), at, style)).map_err(io::Error::other)
    }

    fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor, width: u32) -> io::Result<()> {
        let style = ShapeStyle::from(&colour).stroke_width(width);
        self.area.draw(&PathElement::new(vec![from, to], style)).map_err(io::Error::other)
    }

    fn dashed(&self, points: &[(i32, i32)], dash: (i32, i32), width: u32) -> io::Result<()> {
        let style = ShapeStyle::from(&INK).stroke_width(width);
        let path = DashedPathElement::new(points.to_vec(), dash.0, dash.1, style);
        self.area.draw(&path).map_err(io::Error::other)
    }
}

/// About how wide a text is; Korean letters are wider than others.
fn width(text: &str) -> i32 {
    text.chars()
        .map(|c| {
            if c.is_ascii() {
                7
            } else if c < '\u{1100}' {
                8
            } else {
                12
            }
        })
        .sum()
}

/// `plotters` draws a font of this size 1.24 times smaller.
const FONT: f64 = 15.0;
