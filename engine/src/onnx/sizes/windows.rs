//! Convolutions and pooling.

use super::{Known, OUT_OF_RANGE, Reason, TOO_LARGE, UNFIT, Value};
use crate::limits::{ARENA_BYTES, WINDOW, product};
use crate::onnx::proto::{integer, integers, pair, text};

/// How a window slides over a picture.
struct Sliding {
    size: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Rows before and behind, and columns.
    padding: [[usize; 2]; 2],
    /// A window that is cut off at the end counts.
    rounds_up: bool,
}

impl Sliding {
    /// Number of positions of the result along an axis of `length` positions.
    fn along(&self, axis: usize, length: usize) -> Option<usize> {
        let [before, after] = self.padding[axis];
        let padded = length.checked_add(before)?.checked_add(after)?;
        let reach = self.size[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?;
        let room = padded.checked_sub(reach.checked_add(1)?)?;
        let steps = room / self.stride[axis];
        let more = self.rounds_up && !room.is_multiple_of(self.stride[axis]);
        Some(steps + 1 + usize::from(more))
    }

    /// Values of the picture with its padding, which tract may copy.
    fn padded(&self, channels: usize, picture: [usize; 2]) -> Option<usize> {
        let along = |axis: usize| {
            let [before, after] = self.padding[axis];
            picture[axis].checked_add(before)?.checked_add(after)
        };
        product(&[channels, along(0)?, along(1)?])
    }
}

impl Known<'_> {
    fn slide(&self, size: [usize; 2], picture: [usize; 2]) -> Result<Sliding, Reason> {
        let node = self.node;
        let pairs = pair(node, "strides").zip(pair(node, "dilations"));
        let (stride, dilation) = pairs.ok_or(OUT_OF_RANGE)?;
        let mut slide = Sliding {
            size,
            stride,
            dilation,
            padding: [[0; 2]; 2],
            rounds_up: integer(node, "ceil_mode").unwrap_or(0) != 0,
        };
        match (text(node, "auto_pad").unwrap_or("NOTSET"), integers(node, "pads")) {
            ("NOTSET", Some(pads)) => {
                let pads: Option<Vec<usize>> =
                    pads.iter().map(|&pad| usize::try_from(pad).ok()).collect();
                let Some(&[top, left, bottom, right]) = pads.as_deref() else {
                    return Err(OUT_OF_RANGE);
                };
                slide.padding = [[top, bottom], [left, right]];
            }
            ("NOTSET" | "VALID", None) => {}
            ("SAME_UPPER" | "SAME_LOWER", None) => {
                for axis in 0..2 {
                    let steps = picture[axis].div_ceil(stride[axis]).saturating_sub(1);
                    let reach = (size[axis] - 1).checked_mul(dilation[axis]);
                    let end = product(&[steps, stride[axis]])
                        .and_then(|last| last.checked_add(reach?)?.checked_add(1));
                    let missing = end.ok_or(OUT_OF_RANGE)?.saturating_sub(picture[axis]);
                    slide.padding[axis] = [missing / 2, missing - missing / 2];
                }
            }
            _ => return Err(OUT_OF_RANGE),
        }
        let sizes = [size, stride, dilation].into_iter().chain(slide.padding).flatten();
        if sizes.max().is_some_and(|size| size > WINDOW) {
            return Err("its window, stride, dilation or padding is too large");
        }
        Ok(slide)
    }

    /// The picture that the node works on: channels, height and width.
    fn picture(&self) -> Result<(usize, [usize; 2]), Reason> {
        match *self.first()? {
            [1, channels, height, width] => Ok((channels, [height, width])),
            _ => Err(UNFIT),
        }
    }

    pub(super) fn conv(&self) -> Result<Value, Reason> {
        let (channels, picture) = self.picture()?;
        let Some(&[outputs, depth, rows, columns]) = self.dims(1) else { return Err(UNFIT) };
        let group = usize::try_from(integer(self.node, "group").unwrap_or(1)).ok();
        let group = group.filter(|&group| group > 0).ok_or(OUT_OF_RANGE)?;
        let stated = integers(self.node, "kernel_shape");
        let fits = product(&[depth, group]) == Some(channels)
            && outputs.is_multiple_of(group)
            && outputs > 0
            && self.count(2).is_none_or(|bias| bias == outputs)
            && stated.is_none_or(|size| size == [rows as i64, columns as i64])
            && rows > 0
            && columns > 0;
        if !fits {
            return Err(UNFIT);
        }
        let slide = self.slide([rows, columns], picture)?;
        let sizes = slide.along(0, picture[0]).zip(slide.along(1, picture[1]));
        let (height, width) = sizes.ok_or(UNFIT)?;
        let taps = product(&[depth, rows, columns]);
        let windows = taps.and_then(|taps| product(&[taps, group, height, width]));
        let padded = slide.padded(channels, picture).filter(|&values| values <= ARENA_BYTES);
        let copied = windows.and_then(|values| values.checked_add(padded?)).ok_or(TOO_LARGE)?;
        let value = Value::new(vec![1, outputs, height, width]).with_operations(taps);
        Ok(Value { copied, ..value })
    }

    pub(super) fn pool(&self) -> Result<Value, Reason> {
        let (channels, picture) = self.picture()?;
        integers(self.node, "kernel_shape").ok_or(OUT_OF_RANGE)?;
        let size = pair(self.node, "kernel_shape").ok_or(OUT_OF_RANGE)?;
        let slide = self.slide(size, picture)?;
        let sizes = slide.along(0, picture[0]).zip(slide.along(1, picture[1]));
        let (height, width) = sizes.ok_or(UNFIT)?;
        let padded = slide.padded(channels, picture).filter(|&values| values <= ARENA_BYTES);
        let value = Value::new(vec![1, channels, height, width]).with_operations(product(&size));
        Ok(Value { copied: padded.ok_or(TOO_LARGE)?, ..value })
    }

    pub(super) fn pool_all(&self) -> Result<Value, Reason> {
        let (channels, picture) = self.picture()?;
        Ok(Value::new(vec![1, channels, 1, 1]).with_operations(product(&picture)))
    }
}
