//! An allocator for Miri that aligns memory like malloc, for any type. Miri's own aligns memory for bytes only where
//! bytes are asked for, as for a chunk. Then the records in the chunk would not be aligned.

use std::alloc::{GlobalAlloc, Layout, System};

struct Malloc;

fn aligned(layout: Layout) -> Layout {
    layout.align_to(align_of::<libc::max_align_t>()).expect("the size is far from the largest")
}

// SAFETY: memory for a stricter layout also serves the requested one, and it is freed with the stricter layout.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantee, for a stricter layout.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: `alloc` passed the same layout.
        unsafe { System.dealloc(start, aligned(layout)) }
    }
}

#[global_allocator]
static MALLOC: Malloc = Malloc;
