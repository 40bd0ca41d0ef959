//! Where each value lies in the memory of a run, and access to it.

#![allow(unsafe_code, reason = "memory that threads share in parts")]

use std::marker::PhantomData;
use std::ops::Range;

use crate::buffer::{Buffer, CACHE_LINE_BYTES};
use crate::error::{LayerError, Limit};
use crate::graph::{Elements, Tensor};
use crate::kernels::requant::CHANNEL_BLOCK;
use crate::limits::{ARENA_BYTES, product};

/// A value that the caller gives, in the order of [`Graph::inputs`](crate::graph::Graph::inputs).
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes of a picture, channels last.
    Pixels(&'a [u8]),
    /// Floats.
    Floats(&'a [f32]),
}

/// Bytes behind every value, so that a kernel may read and write whole vectors.
const SLACK_BYTES: usize = CACHE_LINE_BYTES;

/// A value's size and its place in the arena. It has at least one byte and at most [`ARENA_BYTES`],
/// so no sum or product of its sizes overflows.
#[derive(Clone, Debug)]
pub struct Place {
    pub tensor: Tensor,
    /// Bytes from one position to the next.
    pub stride_bytes: usize,
    pub offset: usize,
}

impl Place {
    /// A place of the size of `tensor`, at the start of the arena until [`plan`] finds another. Channels
    /// of codes are padded to [`CHANNEL_BLOCK`] unless `tight`.
    ///
    /// # Errors
    ///
    /// [`LayerError`] when the tensor is empty or exceeds [`ARENA_BYTES`].
    pub fn new(tensor: Tensor, tight: bool) -> Result<Self, LayerError> {
        let channels = tensor.shape.channels;
        let stride_bytes = match tensor.elements {
            Elements::Floats => channels.checked_mul(size_of::<f32>()),
            Elements::Pixels => Some(channels),
            Elements::Codes(_) if tight => Some(channels),
            Elements::Codes(_) => channels.checked_next_multiple_of(CHANNEL_BLOCK),
        };
        let size = |stride| product(&[tensor.shape.height, tensor.shape.width, stride]);
        match stride_bytes.zip(stride_bytes.and_then(size)) {
            Some((_, 0)) => Err(LayerError::Empty),
            Some((stride_bytes, 1..=ARENA_BYTES)) => Ok(Self { tensor, stride_bytes, offset: 0 }),
            _ => Err(Limit::Values.into()),
        }
    }

    /// Bytes of all positions.
    pub fn bytes(&self) -> usize {
        self.tensor.shape.positions() * self.stride_bytes
    }

    /// Bytes of one row of positions.
    pub fn row_bytes(&self) -> usize {
        self.tensor.shape.width * self.stride_bytes
    }

    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes()
    }

    fn reserved(&self) -> Range<usize> {
        let end = self.offset + self.bytes() + SLACK_BYTES;
        self.offset..end.next_multiple_of(CACHE_LINE_BYTES)
    }
}

/// Finds a place for each value that is alive in the steps `lives[value]` (from the step that
/// makes it to the last that reads it), so that values alive at once do not overlap. Values without
/// a life get none. Gives the bytes needed.
///
/// # Errors
///
/// [`Limit::Values`] when they exceed [`ARENA_BYTES`].
pub fn plan(places: &mut [Place], lives: &[Option<Range<usize>>]) -> Result<usize, Limit> {
    let mut order: Vec<usize> = (0..places.len()).filter(|&at| lives[at].is_some()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(places[at].bytes()));
    let mut placed: Vec<usize> = Vec::new();
    for at in order {
        let overlaps = |other: &usize| match (&lives[at], &lives[*other]) {
            (Some(a), Some(b)) => a.start <= b.end && b.start <= a.end,
            _ => false,
        };
        let mut taken: Vec<_> = placed
            .iter()
            .filter(|other| overlaps(other))
            .map(|&at| places[at].reserved())
            .collect();
        taken.sort_by_key(|range| range.start);
        places[at].offset = 0;
        for range in taken {
            let wanted = places[at].reserved();
            if wanted.end > range.start && range.end > wanted.start {
                places[at].offset = range.end;
            }
        }
        if places[at].reserved().end > ARENA_BYTES {
            return Err(Limit::Values);
        }
        placed.push(at);
    }
    Ok(placed.iter().map(|&at| places[at].reserved().end).max().unwrap_or(0))
}

/// The values of one run. Steps read whole values and write parts of their output from several
/// threads at once.
pub struct Memory<'a> {
    arena: *mut u8,
    arena_bytes: usize,
    scratches: *mut Buffer,
    threads: usize,
    borrow: PhantomData<&'a mut Buffer>,
}

// SAFETY: the parts that threads write are disjoint, which `write` and `scratch` demand.
unsafe impl Sync for Memory<'_> {}

impl<'a> Memory<'a> {
    /// Borrows the memory for a run.
    pub fn new(arena: &'a mut Buffer, scratches: &'a mut [Buffer]) -> Self {
        let bytes = arena.bytes_mut();
        Self {
            arena_bytes: bytes.len(),
            arena: bytes.as_mut_ptr(),
            threads: scratches.len(),
            scratches: scratches.as_mut_ptr(),
            borrow: PhantomData,
        }
    }

    /// The bytes of a value that is complete.
    pub fn read(&self, place: &Place) -> &[u8] {
        let range = place.range();
        assert!(range.end <= self.arena_bytes);
        // SAFETY: the range lies in the arena, and the plan keeps the output of a running step
        // apart from its inputs, so nobody writes here now.
        unsafe { std::slice::from_raw_parts(self.arena.add(range.start), range.len()) }
    }

    /// The floats of a value that is complete.
    pub fn floats(&self, place: &Place) -> &[f32] {
        debug_assert_eq!(place.tensor.elements, Elements::Floats);
        // SAFETY: every bit pattern is a float.
        let (before, floats, _) = unsafe { self.read(place).align_to() };
        assert!(before.is_empty(), "values start on a cache line");
        floats
    }

    /// Bytes `part` of the value that the running step makes.
    ///
    /// # Safety
    ///
    /// No two borrows of overlapping parts are alive at once, and no borrow of the value by `read`.
    #[allow(clippy::mut_from_ref, reason = "the parts are disjoint")]
    pub unsafe fn write(&self, place: &Place, part: Range<usize>) -> &mut [u8] {
        assert!(part.start <= part.end && part.end <= place.bytes());
        assert!(place.range().end <= self.arena_bytes);
        // SAFETY: the part lies in the arena; the rest is the caller's promise.
        unsafe {
            std::slice::from_raw_parts_mut(self.arena.add(place.offset + part.start), part.len())
        }
    }

    /// All floats of the value that the running step makes.
    ///
    /// # Safety
    ///
    /// As for [`write`](Self::write).
    #[allow(clippy::mut_from_ref, reason = "one borrow at a time")]
    pub unsafe fn write_floats(&self, place: &Place) -> &mut [f32] {
        // SAFETY: passed on; every bit pattern is a float.
        let (before, floats, _) = unsafe { self.write(place, 0..place.bytes()).align_to_mut() };
        assert!(before.is_empty(), "values start on a cache line");
        floats
    }

    /// The scratch of a thread.
    ///
    /// # Safety
    ///
    /// Only one borrow of it is alive at once.
    #[allow(clippy::mut_from_ref, reason = "each thread has its own")]
    pub unsafe fn scratch(&self, thread: usize) -> &mut [u8] {
        assert!(thread < self.threads);
        // SAFETY: there are `threads` scratches; the rest is the caller's promise.
        unsafe { (*self.scratches.add(thread)).bytes_mut() }
    }

    /// Copies an input of the network to its place.
    pub fn fill(&self, place: &Place, input: &Input<'_>) {
        // SAFETY: no step runs while inputs are copied.
        unsafe {
            match input {
                Input::Pixels(pixels) => {
                    self.write(place, 0..place.bytes()).copy_from_slice(pixels);
                }
                Input::Floats(floats) => self.write_floats(place).copy_from_slice(floats),
            }
        }
    }
}
