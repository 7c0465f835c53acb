//! Allocations that may fail, and the check that follows one that did.
//!
//! Rust aborts the process when an allocation fails, except where the code asks for it fallibly. Whatever is large or grows
//! with the input does that, by [`reserve`]. The rest is small, and lives on the allocator's own reserve (`allocator.rs`)
//! until the next [`check`], which turns the shortage into an error.

pub mod aligned;
mod allocator;

use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;
use std::collections::TryReserveError;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// What must be free before work goes on that allocates small things infallibly: far more than any one step of it takes.
const STEP_BYTES: usize = 64 << 10;

/// An allocation was refused. What was there before is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("out of memory")]
pub struct OutOfMemory;

thread_local! {
    /// Whether the allocation that this thread makes may fail. Then it gets nothing of the reserve.
    static MAY_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Whether something was taken from the reserve since memory was last found free.
static IS_SHORT: AtomicBool = AtomicBool::new(false);

/// For the allocator: whether the current allocation may fail.
pub(crate) fn may_fail() -> bool {
    MAY_FAIL.get()
}

/// Has the C library allocate this thread's variables, which it does at the first use of any and cannot do without.
pub(crate) fn touch_thread_locals() {
    black_box(MAY_FAIL.get());
}

/// For the allocator: the reserve was asked for something.
pub(crate) fn note_shortage() {
    IS_SHORT.store(true, Ordering::Relaxed);
}

/// Runs an allocation that may fail: one of the `try_reserve` family.
///
/// # Errors
///
/// [`OutOfMemory`], also for a size that no memory can have.
#[cold]
pub fn fallible<T>(allocate: impl FnOnce() -> Result<T, TryReserveError>) -> Result<T, OutOfMemory> {
    #[cfg(test)]
    refusal::due()?;
    let before = MAY_FAIL.replace(true);
    let made = allocate();
    MAY_FAIL.set(before);
    made.map_err(|_| OutOfMemory)
}

/// Makes room for `more` elements, or says that there is none.
///
/// # Errors
///
/// [`OutOfMemory`].
#[inline]
pub fn reserve<T>(elements: &mut Vec<T>, more: usize) -> Result<(), OutOfMemory> {
    if elements.capacity() - elements.len() >= more {
        return Ok(());
    }
    fallible(|| elements.try_reserve(more))
}

/// An empty vector with room for exactly `capacity` elements.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn with_capacity<T>(capacity: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut made = Vec::new();
    fallible(|| made.try_reserve_exact(capacity))?;
    Ok(made)
}

/// So many zeros, which malloc gives without writing them.
///
/// # Errors
///
/// [`OutOfMemory`].
#[expect(clippy::same_length_and_capacity, reason = "it was allocated so")]
pub(crate) fn zeroed(count: usize) -> Result<Vec<i32>, OutOfMemory> {
    let layout = Layout::array::<i32>(count).map_err(|_| OutOfMemory)?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    #[cfg(test)]
    refusal::due()?;
    let before = MAY_FAIL.replace(true);
    // SAFETY: the size is not 0.
    let start = unsafe { alloc_zeroed(layout) };
    MAY_FAIL.set(before);
    let start = NonNull::new(start.cast()).ok_or(OutOfMemory)?;
    // SAFETY: it was allocated for exactly that, and zero is an integer.
    Ok(unsafe { Vec::from_raw_parts(start.as_ptr(), count, count) })
}

/// Makes room for `more` bytes of text.
///
/// # Errors
///
/// [`OutOfMemory`].
#[inline]
pub fn reserve_text(text: &mut String, more: usize) -> Result<(), OutOfMemory> {
    if text.capacity() - text.len() >= more {
        return Ok(());
    }
    fallible(|| text.try_reserve(more))
}

/// Makes room for `total` elements in all, and no more.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn reserve_to<T>(elements: &mut Vec<T>, total: usize) -> Result<(), OutOfMemory> {
    let more = total.saturating_sub(elements.len());
    if elements.capacity() - elements.len() >= more {
        return Ok(());
    }
    fallible(|| elements.try_reserve_exact(more))
}

/// Whether `bytes` can be had at this moment: asked before code of others that would abort without them. Another thread can
/// take them meanwhile, which the reserve is for.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn probe(bytes: usize) -> Result<(), OutOfMemory> {
    // Without the black box the compiler removes an allocation that nobody uses.
    with_capacity::<u8>(bytes).map(|probed| drop(black_box(probed)))
}

/// Whether a step of work can be done that allocates small things infallibly.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn probe_step() -> Result<(), OutOfMemory> {
    probe(STEP_BYTES)
}

/// Memory for one step, kept while others fill what there is: so that whoever gets the result can still do something with it.
pub struct HeldStep(#[expect(dead_code, reason = "it is there to be given back")] Vec<u8>);

/// Takes it; dropped, it is free.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn hold_step() -> Result<HeldStep, OutOfMemory> {
    with_capacity(STEP_BYTES).map(|held| HeldStep(black_box(held)))
}

/// Stands where an error harms nothing, on every way that repeats: after an allocation came from the reserve it lets nobody
/// go on before there is memory again, so that the reserve is never used up bit by bit.
///
/// # Errors
///
/// [`OutOfMemory`].
#[inline]
pub fn check() -> Result<(), OutOfMemory> {
    if IS_SHORT.load(Ordering::Relaxed) { recover() } else { Ok(()) }
}

#[cold]
fn recover() -> Result<(), OutOfMemory> {
    probe_step()?;
    IS_SHORT.store(false, Ordering::Relaxed);
    Ok(())
}

/// For tests: one allocation of those that may fail, by its number, does.
#[cfg(test)]
pub(crate) mod refusal {
    use super::{Cell, OutOfMemory};

    thread_local! { static LEFT: Cell<Option<usize>> = const { Cell::new(None) }; }

    pub(super) fn due() -> Result<(), OutOfMemory> {
        let left = LEFT.get();
        LEFT.set(left.and_then(|left| left.checked_sub(1)));
        if left == Some(0) { Err(OutOfMemory) } else { Ok(()) }
    }

    /// On this thread, behind so many that are granted.
    pub(crate) fn after(granted: usize) {
        LEFT.set(Some(granted));
    }

    /// From here on none. Whether there was one.
    pub(crate) fn end() -> bool {
        LEFT.replace(None).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reservation_leaves_what_was_there() {
        let mut elements = vec![1_u64, 2, 3];
        let (start, capacity) = (elements.as_ptr(), elements.capacity());
        assert_eq!(reserve(&mut elements, usize::MAX / 16), Err(OutOfMemory));
        assert_eq!(reserve(&mut elements, isize::MAX as usize / 16), Err(OutOfMemory));
        assert_eq!((elements.as_ptr(), elements.capacity(), &*elements), (start, capacity, &[1, 2, 3][..]));
        assert_eq!(with_capacity::<u64>(usize::MAX).unwrap_err(), OutOfMemory);
        assert!(!may_fail());
        reserve(&mut elements, 100).unwrap();
        assert!(elements.capacity() >= 103);
    }

    #[test]
    fn after_a_shortage_the_check_asks_for_memory_once() {
        note_shortage();
        assert!(IS_SHORT.load(Ordering::Relaxed));
        assert_eq!(check(), Ok(()));
        assert!(!IS_SHORT.load(Ordering::Relaxed));
        assert_eq!(probe(isize::MAX as usize), Err(OutOfMemory));
    }
}
