//! Allocations that may fail, and the check after one that did.
//!
//! Rust aborts the process when an allocation fails, unless the code asks for it fallibly. Every allocation that is
//! large or grows with the input does so, by [`reserve`]. The rest is small. It uses the allocator's reserve
//! (`allocator.rs`) until the next [`check`], which turns the shortage into an error.

pub mod aligned;
mod allocator;

use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;
use std::collections::TryReserveError;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// The memory that must be free before a step that allocates small things infallibly: far more than any step takes.
const STEP_BYTES: usize = 64 << 10;

/// A refused allocation. Everything is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("out of memory")]
pub struct OutOfMemory;

thread_local! {
    /// Whether this thread's current allocation may fail. Then it gets nothing from the reserve.
    static MAY_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Whether memory came from the reserve since the last successful check.
static IS_SHORT: AtomicBool = AtomicBool::new(false);

/// Whether the current allocation may fail, for the allocator.
pub(crate) fn may_fail() -> bool {
    MAY_FAIL.get()
}

/// Makes the C library allocate this thread's thread-locals. It does so at the first use of any of them, and aborts if
/// it cannot.
pub(crate) fn touch_thread_locals() {
    black_box(MAY_FAIL.get());
}

/// Notes that the reserve was used, for the allocator.
pub(crate) fn note_shortage() {
    IS_SHORT.store(true, Ordering::Relaxed);
}

/// Runs an allocation that may fail, by a function of the `try_reserve` family.
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

/// Makes room for `more` elements.
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

/// Creates an empty vector with room for exactly `capacity` elements.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn with_capacity<T>(capacity: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut made = Vec::new();
    fallible(|| made.try_reserve_exact(capacity))?;
    Ok(made)
}

/// Returns `count` zeros. malloc provides them without writing them.
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
    // SAFETY: it was allocated for exactly `count` integers, and zero is a valid integer.
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

/// Checks that `bytes` are available now. Call it before foreign code that would abort without them. Another thread can
/// take them meanwhile; the reserve is for that case.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn probe(bytes: usize) -> Result<(), OutOfMemory> {
    // Without the black box the compiler removes an allocation that nobody uses.
    with_capacity::<u8>(bytes).map(|probed| drop(black_box(probed)))
}

/// Checks that there is memory for a step that allocates small things infallibly.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn probe_step() -> Result<(), OutOfMemory> {
    probe(STEP_BYTES)
}

/// Memory for one step, held while others use up the rest. Its owner can still do something with the result.
pub struct HeldStep(#[expect(dead_code, reason = "it is there to be given back")] Vec<u8>);

/// Allocates the memory. It is free again on drop.
///
/// # Errors
///
/// [`OutOfMemory`].
pub fn hold_step() -> Result<HeldStep, OutOfMemory> {
    with_capacity(STEP_BYTES).map(|held| HeldStep(black_box(held)))
}

/// Reports an earlier shortage. Call it where an error does no harm, in every loop. After an allocation came from the
/// reserve, nothing goes on before there is memory again, so the reserve is never used up bit by bit.
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

/// Makes one fallible allocation fail, by its number, for tests.
#[cfg(test)]
pub(crate) mod refusal {
    use super::{Cell, OutOfMemory};

    thread_local! { static LEFT: Cell<Option<usize>> = const { Cell::new(None) }; }

    pub(super) fn due() -> Result<(), OutOfMemory> {
        let left = LEFT.get();
        LEFT.set(left.and_then(|left| left.checked_sub(1)));
        if left == Some(0) { Err(OutOfMemory) } else { Ok(()) }
    }

    /// Refuses one allocation on this thread, after `granted` ones that succeed.
    pub(crate) fn after(granted: usize) {
        LEFT.set(Some(granted));
    }

    /// Refuses none from here on. Returns whether one was refused.
    pub(crate) fn end() -> bool {
        LEFT.replace(None).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reservation_keeps_the_content() {
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
