//! After the first frames, inference allocates nothing.

#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use celebcam::models;
use image::RgbImage;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_run_of_a_loaded_model_allocates_nothing() {
    let settings = models::settings(1).expect("the best kernels can be had");
    for model in models::built_in(&settings).expect("built-in models load") {
        let (height, width) = model.input_size();
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let mut outputs = vec![Vec::new(); model.output_names().len()];
        model.run_into(&image, &mut outputs).expect("it runs");
        let before = ALLOCATIONS.get();
        assert!(before > 0, "the counter counts");
        for _ in 0..10 {
            model.run_into(&image, &mut outputs).expect("it runs");
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{}", model.origin());
    }
}
