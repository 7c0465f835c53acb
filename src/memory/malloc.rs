//! For Miri: memory as malloc gives it, aligned for anything. Miri's own is aligned for bytes only where bytes are asked for,
//! and a chunk's are: the records in it would not be aligned.

use std::alloc::{GlobalAlloc, Layout, System};

struct Malloc;

fn aligned(layout: Layout) -> Layout {
    layout.align_to(align_of::<libc::max_align_t>()).expect("the size is far from the largest")
}

// SAFETY: what the system gives for a stricter layout serves the one that was asked for, and goes back under the same.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, of a stricter layout.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: `alloc` took the same layout for it.
        unsafe { System.dealloc(start, aligned(layout)) }
    }
}

#[global_allocator]
static MALLOC: Malloc = Malloc;
