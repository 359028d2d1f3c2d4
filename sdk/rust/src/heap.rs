//! The heap of a component. A call happens in the middle of somebody's request, and there
//! `memory.grow` costs the host a change of page protections on every processor, so blocks come
//! from a static arena (zero pages cost nothing until touched) and memory grows only beyond it.
//! A block has one of a few sizes and returns to its size's list when freed: everything takes a
//! handful of instructions, a long-lived instance reuses what it freed, and few pages are touched.
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::Layout;
use std::ptr;

/// Every block begins and ends at a multiple of it.
const UNIT: usize = 16;
/// Up to here the sizes are all multiples of [`UNIT`]; above, there are [`STEPS`] per doubling.
const FINE: usize = 128;
const FINE_SIZES: usize = FINE / UNIT;
const STEPS: usize = 4;
/// Doublings from [`FINE`] to 2 GiB, beyond which nothing is given.
const DOUBLINGS: usize = 24;
const SIZES: usize = FINE_SIZES + DOUBLINGS * STEPS;

/// Where a heap takes memory from when it has none left.
pub(crate) trait Source {
    /// At least `least` bytes that are the heap's from now on and begin at a multiple of [`UNIT`].
    fn more(&mut self, least: usize) -> Option<(*mut u8, usize)>;
}

/// A free block, in the list of its size.
struct Free {
    next: *mut Free,
}

pub(crate) struct Heap<S> {
    /// First free block of each size.
    free: [*mut Free; SIZES],
    /// Never used so far: from `top`, so many bytes.
    top: *mut u8,
    room: usize,
    source: S,
}

/// The index of the smallest size that holds `bytes`, and that size.
fn fit(bytes: usize) -> Option<(usize, usize)> {
    if bytes <= FINE {
        let units = bytes.div_ceil(UNIT).max(1);
        return Some((units - 1, units * UNIT));
    }
    let last = bytes - 1;
    let doubling = last.ilog2() as usize;
    let step = (last >> (doubling - 2)) % STEPS;
    let index = FINE_SIZES + (doubling - FINE.ilog2() as usize) * STEPS + step;
    (index < SIZES).then(|| (index, (STEPS + step + 1) << (doubling - 2)))
}

impl<S: Source> Heap<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self { free: [ptr::null_mut(); SIZES], top: ptr::null_mut(), room: 0, source }
    }

    /// A block for `layout`, or null when the source is exhausted.
    pub(crate) fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some((index, size)) = fit(layout.size()) else { return ptr::null_mut() };
        if layout.align() > UNIT {
            return self.aligned(index, size, layout.align());
        }
        let Some(first) = self.free.get_mut(index) else { return ptr::null_mut() };
        if !first.is_null() {
            let block = *first;
            // SAFETY: a block in a list holds a valid `Free`, written by `release`.
            *first = unsafe { (*block).next };
            return block.cast();
        }
        self.fresh(size)
    }

    fn fresh(&mut self, size: usize) -> *mut u8 {
        if size > self.room {
            let Some((start, bytes)) = self.source.more(size) else { return ptr::null_mut() };
            if self.top.wrapping_add(self.room) == start {
                self.room += bytes;
            } else if bytes - size > self.room {
                (self.top, self.room) = (start, bytes);
            } else {
                // The new memory is for this block; small ones still find room in the old.
                return start;
            }
        }
        let block = self.top;
        self.top = block.wrapping_add(size);
        self.room -= size;
        block
    }

    /// Alignments above [`UNIT`] hardly occur: looks for a freed block that happens to fit.
    fn aligned(&mut self, index: usize, size: usize, align: usize) -> *mut u8 {
        let Some(mut link) = self.free.get_mut(index).map(ptr::from_mut) else {
            return ptr::null_mut();
        };
        // SAFETY: `link` is the list's head or the `next` of a block in it, all of them valid.
        unsafe {
            while !(*link).is_null() {
                let block = *link;
                if block.addr() % align == 0 {
                    *link = (*block).next;
                    return block.cast();
                }
                link = &raw mut (*block).next;
            }
        }
        let Some((_, whole)) = size.checked_add(align).and_then(fit) else {
            return ptr::null_mut();
        };
        let block = self.fresh(whole);
        if block.is_null() {
            return block;
        }
        // What lies before and behind the aligned block is given up; the block itself is not.
        block.wrapping_add(block.align_offset(align))
    }

    /// Takes back a block of `allocate`.
    ///
    /// # Safety
    /// `block` came from this heap for `layout` and is not used any more.
    pub(crate) unsafe fn release(&mut self, block: *mut u8, layout: Layout) {
        let Some((index, size)) = fit(layout.size()) else { return };
        if block.wrapping_add(size) == self.top {
            self.top = block;
            self.room += size;
        } else if let Some(first) = self.free.get_mut(index) {
            let block = block.cast::<Free>();
            // SAFETY: the block is ours again, and no block is smaller or less aligned than this.
            unsafe { block.write(Free { next: *first }) };
            *first = block;
        }
    }

    /// Makes a block longer or shorter, in its place where that is possible.
    ///
    /// # Safety
    /// As for `release`; `bytes` fits an `isize` when rounded up to the alignment.
    pub(crate) unsafe fn resize(
        &mut self,
        block: *mut u8,
        layout: Layout,
        bytes: usize,
    ) -> *mut u8 {
        let (Some((_, old)), Some((index, new))) = (fit(layout.size()), fit(bytes)) else {
            return ptr::null_mut();
        };
        if new == old {
            return block;
        }
        // A block of a size may come into being only when none of that size is free; otherwise
        // lists whose blocks nobody takes would grow for ever.
        let none_free = self.free.get(index).is_some_and(|first| first.is_null());
        if none_free && block.wrapping_add(old) == self.top && new <= old + self.room {
            self.top = block.wrapping_add(new);
            self.room = self.room + old - new;
            return block;
        }
        // SAFETY: the caller's promises; the new block is another one, so nothing overlaps.
        unsafe {
            let moved = self.allocate(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(bytes));
                self.release(block, layout);
            }
            moved
        }
    }
}

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
mod component {
    use std::alloc::{GlobalAlloc, Layout};
    use std::arch::wasm32::{memory_grow, memory_size};
    use std::cell::UnsafeCell;
    use std::ptr;

    use super::{Heap, Source};

    const PAGE: usize = 1 << 16;
    /// Enough for a request whose texts together are a few hundred kilobytes.
    const ARENA: usize = 512 << 10;
    /// Growth is dear: when it happens, it is worth while.
    const GROW_PAGES: usize = 8;

    #[repr(align(16))]
    struct Bytes(UnsafeCell<[u8; ARENA]>);
    // SAFETY: without the atomics feature a component has one thread.
    unsafe impl Sync for Bytes {}
    static BYTES: Bytes = Bytes(UnsafeCell::new([0; ARENA]));

    /// First the arena, then pages of the engine.
    struct Memory {
        arena_left: bool,
    }

    impl Source for Memory {
        fn more(&mut self, least: usize) -> Option<(*mut u8, usize)> {
            if self.arena_left && least <= ARENA {
                self.arena_left = false;
                return Some((BYTES.0.get().cast(), ARENA));
            }
            let needed = least.div_ceil(PAGE);
            [needed.max(GROW_PAGES), needed].into_iter().find_map(|pages| {
                let start = memory_size::<0>() * PAGE;
                (memory_grow::<0>(pages) != usize::MAX)
                    .then(|| (ptr::with_exposed_provenance_mut(start), pages * PAGE))
            })
        }
    }

    struct Global(UnsafeCell<Heap<Memory>>);
    // SAFETY: as above.
    unsafe impl Sync for Global {}

    // SAFETY: blocks are disjoint, as large and as aligned as asked for, and stay until released.
    // No method calls back into the allocator, so the one mutable reference is alone.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { (*self.0.get()).allocate(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            unsafe { (*self.0.get()).release(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            unsafe { (*self.0.get()).resize(block, layout, bytes) }
        }
    }

    #[global_allocator]
    static GLOBAL: Global = Global(UnsafeCell::new(Heap::new(Memory { arena_left: true })));
}

#[cfg(test)]
mod tests;
