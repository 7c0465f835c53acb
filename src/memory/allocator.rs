//! Rust's global allocator: malloc, and a reserve for when malloc fails.
//!
//! Stable Rust can only abort when an allocation fails that cannot report an error, and every `String`, `Box` and `Arc`
//! of the standard library and of other crates is such an allocation. The reserve lies in the extension's own data. So
//! it is there whatever happens later, and no other allocator, above all Python's, can take it. It serves only small
//! allocations, between two checks (`memory/mod.rs`).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::{may_fail, note_shortage};

/// Blocks of one size, each a bit of a word. An allocation is a run of blocks within one word. There is no lock,
/// because in the child of a `fork` a thread that no longer exists could hold it.
#[repr(C, align(4096))]
struct Pool<const BLOCK: usize, const WORDS: usize> {
    blocks: UnsafeCell<[[[u8; BLOCK]; 64]; WORDS]>,
    taken: [AtomicU64; WORDS],
}

// SAFETY: a thread takes a run of blocks by setting its bits and owns it alone until it clears them.
unsafe impl<const BLOCK: usize, const WORDS: usize> Sync for Pool<BLOCK, WORDS> {}

impl<const BLOCK: usize, const WORDS: usize> Pool<BLOCK, WORDS> {
    const fn new() -> Self {
        Self { blocks: UnsafeCell::new([[[0; BLOCK]; 64]; WORDS]), taken: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Returns the run of bits for a layout, if it fits in a word.
    fn run(layout: Layout) -> Option<u64> {
        let blocks = layout.size().div_ceil(BLOCK).max(1);
        (blocks <= 64 && layout.align() <= BLOCK).then(|| u64::MAX >> (64 - blocks))
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let run = Self::run(layout)?;
        for (word, taken) in self.taken.iter().enumerate() {
            let mut now = taken.load(Ordering::Relaxed);
            while let Some(shift) = (0..=run.leading_zeros()).find(|shift| now & run << shift == 0) {
                // Acquire orders the last owner's writes before those of the new one.
                match taken.compare_exchange_weak(now, now | run << shift, Ordering::Acquire, Ordering::Relaxed) {
                    // SAFETY: the block is one of this pool's.
                    Ok(_) => return Some(unsafe { self.start().add((64 * word + shift as usize) * BLOCK) }),
                    Err(changed) => now = changed,
                }
            }
        }
        None
    }

    fn start(&self) -> *mut u8 {
        self.blocks.get().cast()
    }

    fn holds(&self, address: *mut u8) -> bool {
        address.addr().wrapping_sub(self.start().addr()) < size_of_val(&self.blocks)
    }

    /// Returns memory that `take` gave for the same layout.
    fn give_back(&self, address: *mut u8, layout: Layout) {
        let block = (address.addr() - self.start().addr()) / BLOCK;
        let run = Self::run(layout).unwrap_or(0);
        self.taken[block / 64].fetch_and(!(run << (block % 64)), Ordering::Release);
    }
}

/// 256 KiB for small allocations, and 1 MiB for the few of up to 256 KiB each.
#[repr(C)]
struct Reserve {
    small: Pool<64, 64>,
    large: Pool<4096, 4>,
}

static RESERVE: Reserve = Reserve { small: Pool::new(), large: Pool::new() };

impl Reserve {
    /// Takes memory for a layout. Returns NULL when there is no room, and when the allocation may fail.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        if may_fail() {
            return ptr::null_mut();
        }
        note_shortage();
        let small = if layout.size() <= 2048 { self.small.take(layout) } else { None };
        small.or_else(|| self.large.take(layout)).unwrap_or(ptr::null_mut())
    }

    /// Whether the address is in the reserve. It is one comparison, because every deallocation makes it.
    #[inline]
    fn holds(&self, address: *mut u8) -> bool {
        address.addr().wrapping_sub(ptr::from_ref(self).addr()) < size_of::<Self>()
    }

    #[cold]
    fn give_back(&self, address: *mut u8, layout: Layout) {
        if self.small.holds(address) {
            self.small.give_back(address, layout);
        } else {
            self.large.give_back(address, layout);
        }
    }

    /// # Safety
    ///
    /// Those of [`GlobalAlloc::realloc`]. [`Reserve::holds`] must be true for the address.
    #[cold]
    unsafe fn resize(&self, address: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that the size is not 0 and does not overflow with the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        // SAFETY: as above.
        let moved = unsafe { Allocator.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: two different allocations of at least that size.
            unsafe { ptr::copy_nonoverlapping(address, moved, layout.size().min(bytes)) };
            self.give_back(address, layout);
        }
        moved
    }
}

struct Allocator;

// SAFETY: memory of malloc returns to malloc, and memory of the reserve to the reserve. The address tells which it is.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantee.
        let made = unsafe { System.alloc(layout) };
        if made.is_null() { RESERVE.take(layout) } else { made }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantee.
        let mut made = unsafe { System.alloc_zeroed(layout) };
        if made.is_null() {
            made = RESERVE.take(layout);
            if !made.is_null() {
                // SAFETY: it was taken for that size.
                unsafe { ptr::write_bytes(made, 0, layout.size()) };
            }
        }
        made
    }

    #[inline]
    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        if RESERVE.holds(address) {
            return RESERVE.give_back(address, layout);
        }
        // SAFETY: the caller's guarantee; the memory came from malloc.
        unsafe { System.dealloc(address, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, address: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if RESERVE.holds(address) {
            // SAFETY: the caller's guarantee.
            return unsafe { RESERVE.resize(address, layout, bytes) };
        }
        // SAFETY: the caller's guarantee; the memory came from malloc.
        let made = unsafe { System.realloc(address, layout, bytes) };
        if !made.is_null() {
            return made;
        }
        // SAFETY: the caller guarantees that the size is not 0 and does not overflow with the alignment.
        let moved = RESERVE.take(unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) });
        if !moved.is_null() {
            // SAFETY: two different allocations of at least that size. The old one is unchanged and came from malloc.
            unsafe {
                ptr::copy_nonoverlapping(address, moved, layout.size().min(bytes));
                System.dealloc(address, layout);
            }
        }
        moved
    }
}

#[cfg_attr(not(all(test, miri)), global_allocator)]
static ALLOCATOR: Allocator = Allocator;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    fn layout(bytes: usize, align: usize) -> Layout {
        Layout::from_size_align(bytes, align).unwrap()
    }

    #[test]
    fn runs_do_not_overlap_and_come_back() {
        let pool: Box<Pool<64, 2>> = Box::new(Pool::new());
        let sizes = [1, 64, 65, 500, 4096, 64];
        let runs: Vec<_> = sizes.map(|bytes| (pool.take(layout(bytes, 8)), bytes)).into_iter().collect();
        // 4,096 bytes take the whole second word; the 1 + 1 + 2 + 8 + 1 blocks are in the first.
        assert!(runs.iter().all(|(address, _)| address.is_some()));
        assert_eq!(pool.taken.each_ref().map(|word| word.load(Ordering::Relaxed)), [(1 << 13) - 1, u64::MAX]);
        let blocks: HashSet<_> = runs.iter().map(|(address, _)| address.unwrap().addr()).collect();
        assert_eq!(blocks.len(), sizes.len());
        assert!(blocks.iter().all(|address| address % 64 == 0));
        assert_eq!(pool.take(layout(4096, 8)), None);
        for (address, bytes) in runs {
            assert!(pool.holds(address.unwrap()));
            pool.give_back(address.unwrap(), layout(bytes, 8));
        }
        assert_eq!(pool.taken.each_ref().map(|word| word.load(Ordering::Relaxed)), [0, 0]);
    }

    #[test]
    fn a_layout_that_does_not_fit_is_refused() {
        let pool: Box<Pool<64, 1>> = Box::new(Pool::new());
        assert_eq!(pool.take(layout(4097, 8)), None);
        assert_eq!(pool.take(layout(8, 128)), None);
        assert!(!pool.holds(ptr::null_mut()) && !pool.holds(ptr::without_provenance_mut(usize::MAX)));
    }

    #[test]
    fn threads_never_share_a_block() {
        let pool: Box<Pool<64, 1>> = Box::new(Pool::new());
        thread::scope(|scope| {
            for mark in 1..=4_u8 {
                let pool = &pool;
                scope.spawn(move || {
                    for turn in 0..if cfg!(miri) { 20 } else { 20_000 } {
                        let wanted = layout(1 + turn % 900, 8);
                        let Some(address) = pool.take(wanted) else { continue };
                        // SAFETY: the run is this thread's, of that size.
                        unsafe {
                            ptr::write_bytes(address, mark, wanted.size());
                            assert!((0..wanted.size()).all(|at| *address.add(at) == mark));
                        }
                        pool.give_back(address, wanted);
                    }
                });
            }
        });
        assert_eq!(pool.taken[0].load(Ordering::Relaxed), 0);
    }

    #[test]
    fn memory_that_grows_out_of_the_reserve_keeps_its_content() {
        // SAFETY: sizes are not 0, and each layout is the one that was asked for last.
        unsafe {
            let small = RESERVE.take(layout(100, 8));
            assert!(RESERVE.small.holds(small) && RESERVE.holds(small));
            (0..100).for_each(|at| small.add(at).write(at as u8));
            let grown = Allocator.realloc(small, layout(100, 8), 100_000);
            assert!(!RESERVE.holds(grown));
            assert!((0..100).all(|at| *grown.add(at) == at as u8));
            Allocator.dealloc(grown, layout(100_000, 8));
            let large = RESERVE.take(layout(200_000, 8));
            assert!(RESERVE.large.holds(large));
            Allocator.dealloc(large, layout(200_000, 8));
            assert_eq!(RESERVE.take(layout(1 << 20, 8)), ptr::null_mut());
        }
        crate::memory::check().unwrap();
    }
}
