//! A source whose pictures are turned.

use std::time::Duration;

use super::{Counters, FrameSource, Received, Result};
use crate::picture::turn::Turn;
use crate::types::frame::Frame;

/// Memory that is kept for the next picture at most, in bytes: that of a large one is needed to decode it.
const KEPT_BYTES: usize = 8 << 20;

struct Turned {
    source: Box<dyn FrameSource>,
    turn: Turn,
    /// Memory of the picture before.
    memory: Vec<u8>,
}

/// `source`, or where there is something to turn, `source` with every frame turned.
pub fn turned(source: Box<dyn FrameSource>, turn: Turn) -> Box<dyn FrameSource> {
    if turn.is_none() {
        return source;
    }
    Box::new(Turned { source, turn, memory: Vec::new() })
}

impl FrameSource for Turned {
    fn next(&mut self, timeout: Duration) -> Result<Received> {
        Ok(match self.source.next(timeout)? {
            Received::Frame(frame) => {
                let rgb = self.turn.apply(frame.rgb, &mut self.memory);
                if self.memory.capacity() > KEPT_BYTES {
                    self.memory = Vec::new();
                }
                Received::Frame(Frame { rgb, ..frame })
            }
            other => other,
        })
    }

    fn done_with(&mut self, frame: Frame) {
        self.source.done_with(frame);
    }

    fn name(&self) -> &str {
        self.source.name()
    }

    fn is_looking(&self) -> bool {
        self.source.is_looking()
    }

    fn counters(&self) -> Counters {
        self.source.counters()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use image::RgbImage;

    use super::*;

    /// Gives as many pictures of a size, and then the end.
    struct Pictures([u32; 2], u64);

    impl FrameSource for Pictures {
        fn next(&mut self, _timeout: Duration) -> Result<Received> {
            let Some(left) = self.1.checked_sub(1) else { return Ok(Received::End) };
            self.1 = left;
            let rgb = RgbImage::new(self.0[0], self.0[1]);
            let (sequence, captured_at) = (left, Instant::now());
            Ok(Received::Frame(Frame { sequence, captured_at, rgb, reduction: 2 }))
        }

        fn name(&self) -> &str {
            "pictures"
        }

        fn is_looking(&self) -> bool {
            false
        }

        fn counters(&self) -> Counters {
            Counters { delivered: 7, ..Counters::default() }
        }
    }

    #[test]
    fn frames_are_turned_and_everything_else_is_passed_on() {
        for (turn, size) in [(Turn::new(90, false), (4, 6)), (Turn::NONE, (6, 4))] {
            let mut source = turned(Box::new(Pictures([6, 4], 1)), turn);
            let Ok(Received::Frame(frame)) = source.next(Duration::ZERO) else { panic!("a frame") };
            assert_eq!((frame.rgb.dimensions(), frame.reduction), (size, 2));
            source.done_with(frame);
            assert!(matches!(source.next(Duration::ZERO), Ok(Received::End)));
            assert_eq!((source.counters().delivered, source.name()), (7, "pictures"));
        }
    }

    #[test]
    fn memory_of_a_large_picture_is_not_kept() {
        for (size, is_kept) in [([640, 480], true), ([2000, 1500], false)] {
            let source = Box::new(Pictures(size, 1));
            let mut turned = Turned { source, turn: Turn::new(90, false), memory: Vec::new() };
            assert!(matches!(turned.next(Duration::ZERO), Ok(Received::Frame(_))));
            assert_eq!(turned.memory.capacity() > 0, is_kept, "{size:?}");
        }
    }
}
