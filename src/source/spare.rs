//! Memory of a picture that is done with, for the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::RgbImage;

use super::raw::Corrupt;

/// The memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<u8>>>);

impl Spare {
    /// The picture whose size `fill` gives and whose pixels, in RGB, it appends to the empty memory.
    /// When it fails, the memory is kept, unless a picture that says it is larger has made it grow.
    pub fn picture(
        &self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(u32, u32), Corrupt>,
    ) -> Result<RgbImage, Corrupt> {
        let mut memory = std::mem::take(&mut *self.lock());
        memory.clear();
        let had = memory.capacity();
        match fill(&mut memory) {
            Ok((width, height)) => {
                if memory.len() < memory.capacity() / 2 {
                    memory.shrink_to_fit();
                }
                RgbImage::from_raw(width, height, memory).ok_or(Corrupt::Contradiction)
            }
            Err(reason) => {
                if memory.capacity() == had {
                    *self.lock() = memory;
                }
                Err(reason)
            }
        }
    }

    /// Keeps the memory of `picture`.
    pub fn keep(&self, picture: RgbImage) {
        *self.lock() = picture.into_raw();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(spare: &Spare, pixels: u32) -> RgbImage {
        let fill = |rgb: &mut Vec<u8>| {
            rgb.resize(3 * pixels as usize, 7);
            Ok((pixels, 1))
        };
        spare.picture(fill).unwrap()
    }

    #[test]
    fn memory_that_a_broken_or_large_picture_needed_is_not_kept() {
        let spare = Spare::default();
        spare.keep(grey(&spare, 100));
        let broken = spare.picture(|rgb| {
            rgb.resize(30_000, 0);
            Err(Corrupt::Contradiction)
        });
        assert!(matches!(broken, Err(Corrupt::Contradiction)));
        assert_eq!(spare.lock().capacity(), 0);
        spare.keep(grey(&spare, 10_000));
        let small = grey(&spare, 100);
        assert!(small.into_raw().capacity() < 1000);
    }
}
