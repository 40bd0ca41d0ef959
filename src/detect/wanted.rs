//! Which faces are wanted: large enough, and outside of what is to be ignored.

use std::str::FromStr;

use super::letterbox::PixelBox;
use crate::types::face::{BoundingBox, Point};

/// An upright rectangle in parts of a picture, 0 to 1 from the left and from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Area {
    /// The area in pixels of a picture of this size.
    pub fn in_picture(&self, width_px: u32, height_px: u32) -> BoundingBox {
        let (across, down) = (width_px as f32, height_px as f32);
        BoundingBox {
            x: self.x * across,
            y: self.y * down,
            width: self.width * across,
            height: self.height * down,
        }
    }
}

impl FromStr for Area {
    /// What is wrong and what would be right.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NEEDED: &str = "an area is x,y,width,height in parts of the picture from 0 to 1, such as \
                              0.7,0,0.3,0.5 for the upper half of the right third";
        let numbers: Result<Vec<f32>, _> =
            text.split(',').map(|number| number.trim().parse()).collect();
        let Ok(&[x, y, width, height]) = numbers.as_deref() else { return Err(NEEDED.to_owned()) };
        let is_part = |value: f32| (0.0..=1.0).contains(&value);
        if ![x, y, width, height].into_iter().all(is_part) || width == 0.0 || height == 0.0 {
            return Err(NEEDED.to_owned());
        }
        Ok(Self { x, y, width, height })
    }
}

/// Which faces are wanted; all by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Faces whose centre lies in one of these are left out.
    pub ignored: Vec<Area>,
    /// Width in pixels of the narrowest.
    pub narrowest_px: f32,
}

impl Wanted {
    /// The same for a picture each of whose pixels stands for `by` of its source's, each way.
    #[must_use]
    pub fn reduced(&self, by: u32) -> Self {
        Self { ignored: self.ignored.clone(), narrowest_px: self.narrowest_px / by as f32 }
    }

    /// Whether a face with these bounds in a picture is wanted.
    pub(super) fn takes(&self, bounds: &BoundingBox, picture: PixelBox) -> bool {
        bounds.width >= self.narrowest_px && !self.ignores(bounds, picture)
    }

    /// Whether it lies where faces are ignored.
    pub(super) fn ignores(&self, bounds: &BoundingBox, picture: PixelBox) -> bool {
        let Point { x, y } = bounds.centre();
        self.ignored.iter().any(|area| {
            let area = area.in_picture(picture.width, picture.height);
            (area.x..=area.x + area.width).contains(&x)
                && (area.y..=area.y + area.height).contains(&y)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_four_parts_of_the_picture() {
        let area = Area { x: 0.7, y: 0.0, width: 0.3, height: 0.5 };
        assert_eq!("0.7,0,0.3,0.5".parse(), Ok(area));
        assert_eq!(" 0.7, 0, 0.3, .5 ".parse(), Ok(area));
        for text in ["", "1,2", "0,0,1", "0,0,1,1,1", "0,0,2,1", "-0.1,0,1,1", "0,0,0,1", "a,b,c,d"]
        {
            assert!(text.parse::<Area>().is_err(), "{text}");
        }
        assert!("0,0,NaN,1".parse::<Area>().is_err());
    }

    #[test]
    fn a_face_is_ignored_by_its_centre_and_left_out_by_its_width() {
        let ignored = vec!["0.5,0,0.5,0.5".parse().unwrap(), "0,0.9,1,0.1".parse().unwrap()];
        let wanted = Wanted { ignored, narrowest_px: 20.0 };
        let picture = PixelBox { x: 0, y: 0, width: 400, height: 200 };
        let takes = |x: f32, y: f32, side: f32| {
            let bounds =
                BoundingBox { x: x - side / 2.0, y: y - side / 2.0, width: side, height: side };
            wanted.takes(&bounds, picture)
        };
        assert!(takes(100.0, 50.0, 30.0) && takes(300.0, 150.0, 30.0));
        assert!(!takes(300.0, 50.0, 30.0) && !takes(20.0, 190.0, 30.0));
        assert!(takes(190.0, 50.0, 60.0), "the centre lies outside");
        assert!(!takes(100.0, 50.0, 19.0) && takes(100.0, 50.0, 20.0));
        let narrow = BoundingBox { x: 95.0, y: 45.0, width: 10.0, height: 10.0 };
        assert!(!wanted.takes(&narrow, picture) && wanted.reduced(2).takes(&narrow, picture));
        assert!(
            Wanted::default()
                .takes(&BoundingBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 }, picture)
        );
    }
}
