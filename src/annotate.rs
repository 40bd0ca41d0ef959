//! Draws faces and names on a picture.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::detect::Area;
use crate::shown::is_invisible;
use crate::types::face::BoundingBox;
use crate::types::observation::Observation;

const NAMED: Rgb<u8> = Rgb([64, 200, 96]);
const UNKNOWN: Rgb<u8> = Rgb([176, 176, 176]);
/// What stands over a face without a name.
const STRANGER: &str = "unknown";

const INK: Rgb<u8> = Rgb([16, 16, 16]);

/// Drawn for a letter that the font lacks.
const NO_LETTER: char = '?';

/// Names that the font lacks letters of; each is told once.
#[derive(Debug, Default)]
pub struct Undrawable(Mutex<HashSet<String>>);

impl Undrawable {
    /// Warns when `name` is drawn with question marks.
    pub fn note(&self, name: &str) {
        if !name.contains(NO_LETTER) && letters(name).contains(&NO_LETTER) {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if told.insert(name.to_owned()) {
                log::warn!(
                    "the name {name} cannot be drawn: the font has Latin letters only, and question \
                     marks stand for the others"
                );
            }
        }
    }
}

/// What is drawn of a text: letters of the font, without the marks that the font lacks.
fn letters(text: &str) -> Vec<char> {
    let is_drawn =
        |letter: char| get_raster(letter, FontWeight::Bold, RasterHeight::Size16).is_some();
    text.nfc()
        .filter(|&letter| !is_combining_mark(letter) && !is_invisible(letter))
        .map(|letter| {
            let plain = std::iter::once(letter).chain(std::iter::once(letter).nfkd());
            plain.take(2).find(|&letter| is_drawn(letter)).unwrap_or(NO_LETTER)
        })
        .collect()
}

/// Draws a box around each face, with the name and confidence of those that have one.
pub fn annotate(rgb: &mut RgbImage, observations: &[Observation]) {
    let height = text_height(rgb);
    let stroke = stroke(height);
    // Names are written last so that no box runs through them.
    for observation in observations {
        draw_box(rgb, &observation.face.bounds, stroke, color(observation));
    }
    let mut taken: Vec<Rectangle> = Vec::new();
    for observation in observations {
        let text = letters(&caption(observation));
        let place = place_caption(rgb, &observation.face.bounds, &text, height, &taken);
        draw_caption(rgb, &text, place, height, color(observation));
        taken.push(place);
    }
}

/// Draws a box around each area that is not looked at.
pub fn annotate_areas(rgb: &mut RgbImage, areas: &[Area]) {
    let (width, height) = rgb.dimensions();
    for area in areas {
        draw_box(rgb, &area.in_picture(width, height), 1, UNKNOWN);
    }
}

/// Draws a box around one face, with its name and confidence if it has them.
pub fn annotate_one(rgb: &mut RgbImage, bounds: &BoundingBox, name: Option<(&str, f32)>) {
    let height = text_height(rgb);
    let (text, color) = match name {
        Some((name, confidence)) => (named(name, confidence), NAMED),
        None => (STRANGER.to_owned(), UNKNOWN),
    };
    let text = letters(&text);
    draw_box(rgb, bounds, stroke(height), color);
    let place = place_caption(rgb, bounds, &text, height, &[]);
    draw_caption(rgb, &text, place, height, color);
}

fn named(name: &str, confidence: f32) -> String {
    format!("{name} {:.0} %", confidence * 100.0)
}

/// Width of the lines of a box that go with captions of this height.
fn stroke(height: RasterHeight) -> i64 {
    (height.val() as i64 / 8).max(2)
}

/// What stands over a face: `Jennifer Aniston 93 %`, or `unknown`.
fn caption(observation: &Observation) -> String {
    match &observation.identity.name {
        Ok(label) => named(&label.name, observation.identity.confidence()),
        Err(_) => STRANGER.to_owned(),
    }
}

fn color(observation: &Observation) -> Rgb<u8> {
    if observation.identity.name.is_ok() { NAMED } else { UNKNOWN }
}

fn text_height(rgb: &RgbImage) -> RasterHeight {
    match rgb.width().max(rgb.height()) {
        0..=640 => RasterHeight::Size16,
        641..=1100 => RasterHeight::Size20,
        1101..=1600 => RasterHeight::Size24,
        _ => RasterHeight::Size32,
    }
}

/// Whole pixels; right and bottom are the first that lie outside.
#[derive(Debug, Clone, Copy)]
struct Rectangle {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Rectangle {
    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

fn fill(rgb: &mut RgbImage, area: Rectangle, color: Rgb<u8>) {
    let (width, height) = (i64::from(rgb.width()), i64::from(rgb.height()));
    for y in area.top.clamp(0, height)..area.bottom.clamp(0, height) {
        for x in area.left.clamp(0, width)..area.right.clamp(0, width) {
            rgb.put_pixel(x as u32, y as u32, color);
        }
    }
}

fn draw_box(rgb: &mut RgbImage, bounds: &BoundingBox, stroke: i64, color: Rgb<u8>) {
    let (left, top) = (bounds.x.round() as i64, bounds.y.round() as i64);
    let right = (bounds.x + bounds.width).round() as i64;
    let bottom = (bounds.y + bounds.height).round() as i64;
    let edges = [
        Rectangle { left, top, right, bottom: top + stroke },
        Rectangle { left, top: bottom - stroke, right, bottom },
        Rectangle { left, top, right: left + stroke, bottom },
        Rectangle { left: right - stroke, top, right, bottom },
    ];
    for edge in edges {
        fill(rgb, edge, color);
    }
}

/// A place for the caption inside the picture: above the box, else below it, away from captions
/// that stand already where that is possible.
fn place_caption(
    rgb: &RgbImage,
    bounds: &BoundingBox,
    text: &[char],
    height: RasterHeight,
    taken: &[Rectangle],
) -> Rectangle {
    let advance = get_raster_width(FontWeight::Bold, height) as i64;
    let width = advance * (text.len() as i64 + 1);
    let tall = height.val() as i64 + 4;
    let left = (bounds.x as i64).min(i64::from(rgb.width()) - width).max(0);
    let lowest = (i64::from(rgb.height()) - tall).max(0);
    let above = bounds.y as i64 - tall;
    let below = (bounds.y + bounds.height) as i64;
    let at = |top: i64| {
        let top = top.clamp(0, lowest);
        Rectangle { left, top, right: left + width, bottom: top + tall }
    };
    let free = |place: &Rectangle| !taken.iter().any(|other| place.overlaps(other));
    let fits = |top: i64| (0..=lowest).contains(&top);
    [above, below, above - tall, below + tall]
        .into_iter()
        .filter(|&top| fits(top))
        .map(at)
        .find(free)
        .unwrap_or_else(|| at(above))
}

fn draw_caption(
    rgb: &mut RgbImage,
    text: &[char],
    place: Rectangle,
    height: RasterHeight,
    background: Rgb<u8>,
) {
    fill(rgb, place, background);
    let advance = get_raster_width(FontWeight::Bold, height) as i64;
    for (index, &letter) in text.iter().enumerate() {
        let Some(glyph) = get_raster(letter, FontWeight::Bold, height) else { continue };
        let left = place.left + advance / 2 + index as i64 * advance;
        for (y, row) in glyph.rows().enumerate() {
            for (x, &intensity) in row.iter().enumerate() {
                blend(rgb, left + x as i64, place.top + 2 + y as i64, intensity);
            }
        }
    }
}

fn blend(rgb: &mut RgbImage, x: i64, y: i64, intensity: u8) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    let Some(pixel) = rgb.get_pixel_mut_checked(x, y) else { return };
    for (channel, ink) in pixel.0.iter_mut().zip(INK.0) {
        let weight = u16::from(intensity);
        let mixed = u16::from(ink) * weight + u16::from(*channel) * (255 - weight);
        *channel = (mixed / 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::face::{Face, Landmarks, Point};
    use crate::types::identity::{Candidate, Identity, Label, Reason};
    use crate::types::observation::Quality;

    fn observation(name: Option<&str>, x: f32, y: f32) -> Observation {
        let point = Point { x, y };
        let label = Label { name: name.unwrap_or("X").into(), id: "x".into(), url: String::new() };
        let face = Face {
            bounds: BoundingBox { x, y, width: 40.0, height: 40.0 },
            landmarks: Landmarks::at(point),
            turn: 0.0,
            detection_confidence: 0.9,
        };
        let candidate = Candidate { label: label.clone(), similarity: 0.8, confidence: 0.93 };
        let name = name.map(|_| label).ok_or(Reason::BelowThreshold);
        let identity = Identity { name, top: vec![candidate], margin: 0.4 };
        Observation { face, quality: Quality::GOOD, features: None, identity }
    }

    #[test]
    fn a_box_is_drawn_where_the_face_is() {
        let mut picture = RgbImage::new(200, 200);
        annotate(&mut picture, &[observation(Some("Ann"), 80.0, 90.0)]);
        assert_eq!(picture.get_pixel(80, 110), &NAMED);
        assert_eq!(picture.get_pixel(119, 110), &NAMED);
        assert_eq!(picture.get_pixel(100, 110), &Rgb([0, 0, 0]));
    }

    #[test]
    fn an_area_is_drawn_in_parts_of_the_picture() {
        let mut picture = RgbImage::new(200, 100);
        let area = Area { x: 0.5, y: 0.2, width: 0.5, height: 0.5 };
        annotate_areas(&mut picture, &[area]);
        assert_eq!(picture.get_pixel(100, 40), &UNKNOWN);
        assert_eq!(picture.get_pixel(199, 69), &UNKNOWN);
        assert_eq!(picture.get_pixel(150, 40), &Rgb([0, 0, 0]));
    }

    #[test]
    fn captions_say_name_and_confidence_or_unknown() {
        assert_eq!(caption(&observation(Some("Ann"), 0.0, 0.0)), "Ann 93 %");
        assert_eq!(caption(&observation(None, 0.0, 0.0)), "unknown");
    }

    #[test]
    fn letters_are_drawn_with_the_marks_that_the_font_has_and_others_are_told_once() {
        let drawn = |name: &str| letters(name).into_iter().collect::<String>();
        for (name, expected) in [
            ("Ann 93 %", "Ann 93 %"),
            ("Zoe\u{308} Łuka", "Zoë Łuka"),
            ("Nguyễn Văn Đạt", "Nguyen Văn Đat"),
            ("\u{feff}Ａｎｎ", "Ann"),
            ("李娜", "??"),
            ("Иван", "????"),
        ] {
            assert_eq!(drawn(name), expected);
        }
        let undrawable = Undrawable::default();
        ["Nguyễn", "Who?", "李娜", "李娜"].iter().for_each(|name| undrawable.note(name));
        assert_eq!(undrawable.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn boxes_at_and_over_the_edge_of_tiny_pictures_are_harmless() {
        for (width, height) in [(1, 1), (3, 500), (500, 3)] {
            let mut picture = RgbImage::new(width, height);
            annotate(&mut picture, &[observation(Some("名前 Ann"), -30.0, 480.0)]);
            annotate(&mut picture, &[observation(None, 490.0, -30.0)]);
        }
    }

    #[test]
    fn captions_of_neighbours_do_not_cover_each_other() {
        let picture = RgbImage::new(400, 300);
        let bounds = BoundingBox { x: 100.0, y: 100.0, width: 40.0, height: 40.0 };
        let text = letters("unknown");
        let first = place_caption(&picture, &bounds, &text, RasterHeight::Size16, &[]);
        let second = place_caption(&picture, &bounds, &text, RasterHeight::Size16, &[first]);
        assert!(!first.overlaps(&second));
    }
}
