//! A source whose pictures are turned.

use std::time::Duration;

use super::{Counters, FrameSource, Received};
use crate::error::Result;
use crate::frame::Frame;
use crate::turn::Turn;

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
    use super::super::files::PictureFiles;
    use super::*;

    #[test]
    fn frames_are_turned_and_everything_else_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        image::RgbImage::new(6, 4).save(folder.path().join("a.png")).unwrap();
        let open = || {
            let paths = [folder.path().to_owned()];
            Box::new(PictureFiles::open(&paths, None, false).unwrap())
        };
        for (turn, size) in [(Turn::new(90, false), (4, 6)), (Turn::default(), (6, 4))] {
            let mut source = turned(open(), turn);
            let Ok(Received::Frame(frame)) = source.next(Duration::ZERO) else { panic!("a frame") };
            assert_eq!(frame.rgb.dimensions(), size);
            source.done_with(frame);
            assert!(matches!(source.next(Duration::ZERO), Ok(Received::End)));
            assert_eq!(source.counters().delivered, 1);
        }
    }
}
