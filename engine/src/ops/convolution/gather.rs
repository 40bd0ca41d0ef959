//! Windows of a picture or of codes, copied behind each other for a matrix product.

use std::ops::Range;

use super::Context;
use crate::graph::Window;
use crate::kernels::MOST_WINDOW_ROWS;

/// Copies the window of the first input around each output position of `rows` behind each other, row by
/// row of the window, each padded to `depth` bytes.
pub fn windows(
    context: &Context<'_>,
    window: Window,
    zero: u8,
    rows: Range<usize>,
    depth: usize,
    gathered: &mut [u8],
) {
    let (input, shape) = (context.bytes(0), context.place(0).tensor.shape);
    let pixel = context.place(0).stride_bytes;
    let [window_height, window_width] = window.size;
    let width = context.output.tensor.shape.width;
    let bytes = window_width * pixel;
    let source_row = shape.width * pixel;
    // Output positions whose window lies inside the row.
    let first = window.padding.left.div_ceil(window.stride[1]).min(width);
    let end = (shape.width + window.padding.left)
        .checked_sub(window_width)
        .map_or(0, |last| (last / window.stride[1] + 1).min(width))
        .max(first);
    for (index, y) in rows.enumerate() {
        let mut sources = [None; MOST_WINDOW_ROWS];
        for (row, source) in sources[..window_height].iter_mut().enumerate() {
            let y = (y * window.stride[0] + row).wrapping_sub(window.padding.top);
            *source = (y < shape.height).then(|| &input[y * source_row..]);
        }
        let gathered = &mut gathered[index * width * depth..];
        let mut done = first;
        if first < end
            && let ([3, 3], 3, [Some(top), Some(middle), Some(bottom)]) =
                (window.size, pixel, &sources[..window_height])
        {
            let left = (first * window.stride[1] - window.padding.left) * pixel;
            let rows = [top, middle, bottom].map(|row| &row[left..]);
            let inside = &mut gathered[first * depth..end * depth];
            done += gather_pixels(inside, depth, rows, window.stride[1] * pixel);
        }
        // From left to right and from top to bottom: a copy may write behind its end.
        for x in (0..first).chain(done..width) {
            let target = &mut gathered[x * depth..];
            let inside = (first..end).contains(&x);
            let left = (x * window.stride[1]).wrapping_sub(window.padding.left);
            for (row, source) in sources[..window_height].iter().enumerate() {
                let target = &mut target[row * bytes..];
                match source {
                    None => target[..bytes].fill(zero),
                    Some(source) if inside => copy(target, &source[left * pixel..], bytes),
                    Some(source) => {
                        let columns = target[..bytes].chunks_exact_mut(pixel);
                        for (column, target) in columns.enumerate() {
                            let x = left.wrapping_add(column);
                            if x < shape.width {
                                target.copy_from_slice(&source[x * pixel..][..pixel]);
                            } else {
                                target.fill(zero);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Copies windows of three rows of three pixels behind each other, `depth` bytes for each. The first
/// window starts where `rows` do, each of the others `step` bytes further right. Gives how many windows
/// were copied: one that starts in the last bytes of a row is left.
fn gather_pixels(gathered: &mut [u8], depth: usize, rows: [&[u8]; 3], step: usize) -> usize {
    const BYTES: usize = 9;
    const VECTOR: usize = 16;
    let windows = rows.map(|row| (row.len() + step).saturating_sub(VECTOR) / step);
    let windows = windows.into_iter().min().unwrap_or(0).min(gathered.len() / depth);
    let [top, middle, bottom] = rows.map(|row| row.windows(VECTOR).step_by(step));
    let rows = top.zip(middle).zip(bottom);
    for (target, ((top, middle), bottom)) in gathered.chunks_exact_mut(depth).zip(rows) {
        target[..VECTOR].copy_from_slice(top);
        target[BYTES..BYTES + VECTOR].copy_from_slice(middle);
        target[2 * BYTES..3 * BYTES].copy_from_slice(&bottom[..BYTES]);
    }
    windows
}

/// Copies `bytes` bytes, in whole vectors where both slices have room: what follows in `target` is
/// not yet filled.
#[inline(always)]
fn copy(target: &mut [u8], source: &[u8], bytes: usize) {
    const VECTOR: usize = 16;
    if bytes <= VECTOR && target.len() >= VECTOR && source.len() >= VECTOR {
        target[..VECTOR].copy_from_slice(&source[..VECTOR]);
    } else {
        target[..bytes].copy_from_slice(&source[..bytes]);
    }
}
