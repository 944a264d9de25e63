//! Writes SVG elements; the one place where text and numbers become SVG markup.

use std::fmt::{self, Write as _};

use super::{MarkStyle, TextStyle};

/// An SVG drawing in the making.
#[derive(Debug)]
pub(crate) struct SvgBuilder {
    markup: String,
    width: f64,
    height: f64,
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// Begins there.
    Start,
    /// Is centred there.
    Middle,
    /// Ends there.
    End,
}

/// A rectangle in user units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    /// The left edge.
    pub(crate) x: f64,
    /// The upper edge.
    pub(crate) y: f64,
    /// To the right.
    pub(crate) width: f64,
    /// Downwards.
    pub(crate) height: f64,
}

impl SvgBuilder {
    /// An empty drawing of this many user units.
    pub(crate) const fn new(width: f64, height: f64) -> Self {
        Self { markup: String::new(), width, height }
    }

    /// A rectangle with corners of radius `round`; pointing at it shows `hint`, if that says
    /// anything.
    pub(crate) fn bar(&mut self, area: Area, round: f64, paint: MarkStyle, hint: &str) {
        let Area { x, y, width, height } = area;
        let paint = paint.attributes();
        let (x, y, width, height) = (N(x), N(y), N(width.max(0.0)), N(height));
        self.put(format_args!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{}" {paint}"#,
            N(round)
        ));
        self.close("rect", hint);
    }

    /// A rectangle whose fill thins out to the right, in slices: a gradient would need an
    /// identifier that is unique on the page.
    pub(crate) fn fading(&mut self, area: Area, paint: MarkStyle, hint: &str) {
        const SLICES: u8 = 24;
        let Area { x, y, width, height } = area;
        let slice = width / f64::from(SLICES);
        for number in 0..SLICES {
            let opacity = 0.5 * (1.0 - f64::from(number) / f64::from(SLICES));
            let (x, y) = (N(x + slice * f64::from(number)), N(y));
            let (width, height) = (N(slice + 0.1), N(height));
            let paint = paint.attributes();
            self.put(format_args!(r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" "#));
            self.put(format_args!(r#"fill-opacity="{opacity:.2}" {paint}"#));
            self.close("rect", hint);
        }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), paint: MarkStyle) {
        let (x1, y1, x2, y2) = (N(from.0), N(from.1), N(to.0), N(to.1));
        let paint = paint.attributes();
        self.put(format_args!(r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {paint}/>"#));
    }

    /// A path; nothing if it is empty.
    pub(crate) fn path(&mut self, path: &Path, paint: MarkStyle, hint: &str) {
        if path.0.is_empty() {
            return;
        }
        self.put(format_args!(r#"<path d="{}" {}"#, path.0, paint.attributes()));
        self.close("path", hint);
    }

    /// A circle.
    pub(crate) fn disc(&mut self, centre: (f64, f64), radius: f64, paint: MarkStyle) {
        let (x, y, radius) = (N(centre.0), N(centre.1), N(radius));
        let paint = paint.attributes();
        self.put(format_args!(r#"<circle cx="{x}" cy="{y}" r="{radius}" {paint}/>"#));
    }

    /// A line of text with its baseline at `at`.
    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, ink: TextStyle, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let (x, y, text) = (N(at.0), N(at.1), Escaped(text));
        let ink = ink.attributes();
        self.put(format_args!(r#"<text x="{x}" y="{y}"{anchor} {ink}>{text}</text>"#));
    }

    /// The whole drawing with its name and its content in words.
    pub(crate) fn finish(self, name: &str, description: &str) -> String {
        let Self { markup, width, height } = self;
        let (width, height) = (N(width), N(height));
        let (name, description) = (Escaped(name), Escaped(description));
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{name}. {description}\" font-size=\"12\" \
             font-family=\"system-ui, sans-serif\"><desc>{description}</desc>{markup}</svg>"
        )
    }

    fn close(&mut self, element: &str, hint: &str) {
        if hint.is_empty() {
            self.put(format_args!("/>"));
        } else {
            self.put(format_args!("><title>{}</title></{element}>", Escaped(hint)));
        }
    }

    fn put(&mut self, markup: fmt::Arguments<'_>) {
        self.markup.write_fmt(markup).expect("writing to a string cannot go wrong");
    }
}

/// The outline of a shape: the content of an SVG `d` attribute.
#[derive(Debug, Default)]
pub(crate) struct Path(String);

impl Path {
    /// Begins anew at `to`.
    pub(crate) fn start(&mut self, to: (f64, f64)) {
        self.put(format_args!("M{} {}", N(to.0), N(to.1)));
    }

    /// A straight stroke to `to`.
    pub(crate) fn stroke(&mut self, to: (f64, f64)) {
        self.put(format_args!("L{} {}", N(to.0), N(to.1)));
    }

    /// A curve to `to`, drawn towards `by`.
    pub(crate) fn curve(&mut self, by: (f64, f64), to: (f64, f64)) {
        self.put(format_args!("Q{} {} {} {}", N(by.0), N(by.1), N(to.0), N(to.1)));
    }

    /// A rectangle of its own.
    pub(crate) fn block(&mut self, area: Area) {
        let Area { x, y, width, height } = area;
        let (x, y, width, height) = (N(x), N(y), N(width), N(height));
        self.put(format_args!("M{x} {y}h{width}v{height}h-{width}z"));
    }

    fn put(&mut self, stroke: fmt::Arguments<'_>) {
        self.0.write_fmt(stroke).expect("writing to a string cannot go wrong");
    }
}

/// A coordinate to a tenth of a unit; anything that is no number is 0, which keeps markup valid.
struct N(f64);

impl fmt::Display for N {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() as i64 } else { 0 };
        let (sign, size) = if tenths < 0 { ("-", -tenths) } else { ("", tenths) };
        match size % 10 {
            0 => write!(out, "{sign}{}", size / 10),
            rest => write!(out, "{sign}{}.{rest}", size / 10),
        }
    }
}

/// Text as XML character data or as the value of a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                _ => out.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// About how many user units a text of 12-unit system type takes: a little too many rather than too
/// few.
pub(crate) fn text_width(text: &str) -> f64 {
    text.chars().map(|character| if character.is_ascii() { 6.9 } else { 11.0 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_or_hint_stays_text() {
        let mut pen = SvgBuilder::new(10.0, 10.0);
        let hostile = r#"</text><script>alert("1'&")</script>"#;
        pen.text((0.0, 0.0), Anchor::Start, TextStyle::Text, hostile);
        let area = Area { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
        pen.bar(area, 0.0, MarkStyle::Ok, hostile);
        let svg = pen.finish(hostile, hostile);
        assert!(!svg.contains("<script"), "{svg}");
        assert_eq!(svg.matches("</text>").count(), 1);
        assert!(svg.contains("alert(&quot;1&#39;&amp;&quot;)"), "{svg}");
    }

    #[test]
    fn coordinates_are_short_and_never_invalid() {
        let cases = [(1.04, "1"), (1.05, "1.1"), (-0.26, "-0.3"), (-0.01, "0"), (f64::NAN, "0")];
        for (number, text) in cases {
            assert_eq!(N(number).to_string(), text);
        }
    }
}
