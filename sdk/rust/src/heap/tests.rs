//! The heap on memory that counts how often it is asked for more.

use std::alloc::Layout;
use std::ops::Range;

use super::{Heap, Source, UNIT, fit};

const REGION: usize = 64 << 10;

/// Hands out regions of at least [`REGION`] bytes and keeps them.
#[derive(Default)]
struct Regions {
    kept: Vec<Vec<u128>>,
    most: usize,
}

impl Source for Regions {
    fn more(&mut self, least: usize) -> Option<(*mut u8, usize)> {
        if self.kept.len() == self.most {
            return None;
        }
        let units = least.max(REGION).div_ceil(UNIT);
        self.kept.push(vec![0; units]);
        let region = self.kept.last_mut()?;
        Some((region.as_mut_ptr().cast(), units * UNIT))
    }
}

fn heap(most: usize) -> Heap<Regions> {
    Heap::new(Regions { kept: Vec::new(), most })
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

fn range(block: *mut u8, bytes: usize) -> Range<usize> {
    block.addr()..block.addr() + bytes
}

#[test]
fn every_size_fits_and_wastes_at_most_a_quarter() {
    let mut previous = 0;
    for bytes in (0..5000).chain((13..26).map(|bit| (1 << bit) + 1)) {
        let (index, size) = fit(bytes).unwrap();
        assert!(size >= bytes && size % UNIT == 0, "{bytes} {size}");
        assert!(
            size <= bytes.max(1).next_multiple_of(UNIT).max(bytes + bytes / 4),
            "{bytes} {size}"
        );
        assert_eq!(fit(size), Some((index, size)), "a size is its own");
        if bytes < 5000 {
            assert!(size >= previous);
            previous = size;
        }
    }
    assert_eq!(fit(usize::MAX / 2), None);
}

#[test]
fn blocks_never_overlap_and_keep_what_is_written() {
    let mut heap = heap(usize::MAX);
    let mut dice = 0x5EED_u64;
    let mut live: Vec<(*mut u8, usize, u8)> = Vec::new();
    for round in 0..20_000_u32 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let bytes = 1 + (dice >> 8) as usize % 3000;
        let mark = round as u8;
        match dice % 5 {
            0 | 1 if live.len() < 200 => {
                let block = heap.allocate(layout(bytes));
                unsafe { block.write_bytes(mark, bytes) };
                live.push((block, bytes, mark));
            }
            2 if !live.is_empty() => {
                let at = bytes % live.len();
                let (block, old, mark) = live[at];
                let moved = unsafe { heap.resize(block, layout(old), bytes) };
                let kept = unsafe { std::slice::from_raw_parts(moved, old.min(bytes)) };
                assert!(kept.iter().all(|byte| *byte == mark));
                unsafe { moved.write_bytes(mark, bytes) };
                live[at] = (moved, bytes, mark);
            }
            _ if !live.is_empty() => {
                let (block, bytes, mark) = live.swap_remove(bytes % live.len());
                let kept = unsafe { std::slice::from_raw_parts(block, bytes) };
                assert!(kept.iter().all(|byte| *byte == mark));
                unsafe { heap.release(block, layout(bytes)) };
            }
            _ => {}
        }
        if round % 500 == 0 {
            let mut ranges: Vec<_> = live.iter().map(|it| range(it.0, it.1)).collect();
            ranges.sort_by_key(|range| range.start);
            assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}

#[test]
fn a_long_life_of_like_calls_needs_no_more_memory_than_the_first() {
    let mut heap = heap(1);
    for call in 0..5000_usize {
        let text = heap.allocate(layout(2000 + call % 96));
        let mut list = heap.allocate(layout(64));
        let label = heap.allocate(layout(5));
        list = unsafe { heap.resize(list, layout(64), 512) };
        assert!(!text.is_null() && !list.is_null() && !label.is_null(), "call {call}");
        unsafe {
            heap.release(text, layout(2000 + call % 96));
            heap.release(list, layout(512));
            heap.release(label, layout(5));
        }
    }
}

/// A list that grows at the top, is covered by another block, and is freed underneath it.
#[test]
fn blocks_that_grew_in_their_place_are_reused() {
    let mut heap = heap(1);
    for call in 0..5000 {
        let mut list = heap.allocate(layout(64));
        let mut bytes = 64;
        while bytes < 1024 {
            list = unsafe { heap.resize(list, layout(bytes), bytes * 2) };
            bytes *= 2;
        }
        let above = heap.allocate(layout(200));
        assert!(!list.is_null() && !above.is_null(), "call {call}");
        unsafe {
            heap.release(list, layout(bytes));
            heap.release(above, layout(200));
        }
    }
}

#[test]
fn the_last_block_grows_in_its_place() {
    let mut heap = heap(1);
    let block = heap.allocate(layout(100));
    let mut bytes = 100;
    while bytes < 40_000 {
        assert_eq!(unsafe { heap.resize(block, layout(bytes), bytes * 2) }, block);
        bytes *= 2;
    }
    unsafe { heap.release(block, layout(bytes)) };
    assert_eq!(heap.allocate(layout(REGION / 2)), block);
}

#[test]
fn a_block_beyond_the_arena_leaves_the_arena_to_the_others() {
    let mut heap = heap(2);
    let first = heap.allocate(layout(32));
    let large = heap.allocate(layout(REGION * 4));
    let second = heap.allocate(layout(32));
    assert!(!large.is_null());
    assert_eq!(second.addr(), first.addr() + 32);
    assert!(heap.allocate(layout(REGION * 8)).is_null(), "the source is exhausted");
}

#[test]
fn larger_alignments_are_met_and_reused() {
    let mut heap = heap(1);
    let wide = Layout::from_size_align(48, 256).unwrap();
    let mut seen = Vec::new();
    for _ in 0..500 {
        let between = heap.allocate(layout(16));
        let block = heap.allocate(wide);
        assert!(!block.is_null() && block.addr() % 256 == 0);
        unsafe {
            heap.release(between, layout(16));
            heap.release(block, wide);
        }
        seen.push(block);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1);
}
