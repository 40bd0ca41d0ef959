//! A face in a picture, and the aligned crop that recognition takes.

use image::RgbImage;

/// A position in a picture in pixels; the centre of the top left pixel is (0.5, 0.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

impl Point {
    /// Pixels to `other`.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An upright rectangle in a picture in pixels; it may reach over the picture's edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl BoundingBox {
    /// The point in the middle.
    pub fn centre(&self) -> Point {
        Point { x: self.x + self.width / 2.0, y: self.y + self.height / 2.0 }
    }

    /// The same rectangle in a picture that is `factor` times as large, each way.
    #[must_use]
    pub fn scaled(&self, factor: f32) -> Self {
        let [x, y, width, height] =
            [self.x, self.y, self.width, self.height].map(|length| length * factor);
        Self { x, y, width, height }
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Area in square pixels that lies in `other` too.
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        if width <= 0.0 || height <= 0.0 { 0.0 } else { width * height }
    }

    /// Intersection over union with `other`: 0 where they are apart, 1 where they are equal.
    pub fn iou(&self, other: &Self) -> f32 {
        let intersection = self.intersection(other);
        intersection / (self.area() + other.area() - intersection)
    }
}

/// The points of a face that place it. Right and left are the subject's own, so the right eye of a
/// face that looks at the camera is on the left of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Landmarks {
    /// Centre of the right eye.
    pub right_eye: Point,
    /// Centre of the left eye.
    pub left_eye: Point,
    /// Centre of the mouth.
    pub mouth: Point,
}

#[cfg(test)]
impl Landmarks {
    /// All in one place.
    pub(crate) fn at(point: Point) -> Self {
        Self { right_eye: point, left_eye: point, mouth: point }
    }
}

/// A face found in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Where it is.
    pub bounds: BoundingBox,
    /// Where its eyes and its mouth are.
    pub landmarks: Landmarks,
    /// How far the head is turned sideways: 0 looks into the camera, 1 is a profile to the subject's own
    /// left, -1 one to the right.
    pub turn: f32,
    /// How sure the detector is that this is a face, 0 to 1.
    pub detection_confidence: f32,
}

/// Side of a [`FaceCrop`] in pixels.
pub const CROP_SIZE_PX: u32 = 112;

/// A face brought into the pose that recognition is trained on: 112x112 pixels, the eyes, nose
/// and mouth at the positions of the ArcFace five-point template.
#[derive(Debug, Clone)]
pub struct FaceCrop {
    rgb: RgbImage,
}

impl FaceCrop {
    /// Takes a picture that is an aligned face already, `None` if it is not 112x112 pixels.
    pub fn from_aligned(rgb: RgbImage) -> Option<Self> {
        (rgb.dimensions() == (CROP_SIZE_PX, CROP_SIZE_PX)).then(|| Self::from_warped(rgb))
    }

    /// Takes the outcome of alignment, which has the crop's size.
    pub(crate) fn from_warped(rgb: RgbImage) -> Self {
        debug_assert_eq!(rgb.dimensions(), (CROP_SIZE_PX, CROP_SIZE_PX));
        Self { rgb }
    }

    /// The pixels, [`CROP_SIZE_PX`] on both sides.
    pub fn rgb(&self) -> &RgbImage {
        &self.rgb
    }
}
