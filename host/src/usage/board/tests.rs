use proptest::prelude::*;

use super::{BACK_MAX, BYTES_MAX, Board, BoardBook, Live, PART_BYTES, Reader};

const WORDS: usize = 64;

fn live(number: u64) -> Live {
    Live {
        first_token: number % 9_001,
        tail: number % 70_001,
        speed: number % 1_201,
        share: 10_000 - number % 7,
        in_flight: u32::try_from(number % 5).unwrap(),
    }
}

fn read(book: &mut BoardBook, frames: &[Vec<u8>]) {
    for frame in frames {
        book.read(Reader(&frame[1..]), WORDS).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_reader_finds_at_every_place_what_was_there(
        changes in proptest::collection::vec((0_u32..6, 0_usize..3, any::<u64>()), 1..10_000),
        every in 1_usize..3_000,
    ) {
        let (mut board, mut framed) = (Board::default(), 0);
        let (mut by_frames, mut beside) = (BoardBook::default(), BoardBook::default());
        let mut places = Vec::new();
        for (number, (offer, size, value)) in changes.into_iter().enumerate() {
            board.changed(0, offer, size, live(value));
            places.push((board.len(), (offer, size, live(value))));
            if number % every == 0 {
                read(&mut by_frames, &board.frames(framed));
                beside.catch_up(&board, WORDS).unwrap();
                framed = board.len();
            }
        }
        read(&mut by_frames, &board.frames(framed));
        let again = Board::go_on(&by_frames);
        prop_assert_eq!(&again.bytes, &board.bytes);
        for book in [&by_frames, &beside] {
            for (place, (offer, size, live)) in places.iter().step_by(97) {
                if let Ok(standings) = book.at(u64::try_from(*place).unwrap()) {
                    prop_assert_eq!(standings.get(*offer, *size), Some(*live));
                } else {
                    prop_assert!(*place > book.bytes.len(), "it has not been told of it yet");
                }
            }
        }
        let (last, _) = places.last().unwrap();
        let standings = by_frames.at(u64::try_from(*last).unwrap()).unwrap();
        for offer in 0..6 {
            for size in 0..3 {
                prop_assert_eq!(standings.get(offer, size), board.now(offer, size));
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes: Vec<u8>, place: u64) {
        let mut book = BoardBook::default();
        let read = book.read(Reader(&bytes), WORDS);
        prop_assert_eq!(read.is_ok() && book.bytes.is_empty(), bytes == [0]);
        book.at(place).ok();
        prop_assert_eq!(book.at(0).unwrap().known().count(), 0);
    }
}

#[test]
fn a_request_that_began_before_others_is_shown_what_there_was_then() {
    let mut board = Board::default();
    assert!(board.takes(0));
    for at_ms in [10, 20, 20, 30] {
        let offer = u32::try_from(at_ms / 20).unwrap();
        board.changed(at_ms, offer, 0, live(u64::try_from(board.len()).unwrap() + at_ms));
    }
    assert!(!board.takes(29));
    assert_eq!(board.place_at(9), 0);
    assert_eq!(board.at(0).known().count(), 0);
    let place = board.place_at(25);
    let (then, now) = (board.at(place).get(1, 0).unwrap(), board.now(1, 0).unwrap());
    assert!(place < board.len() && then != now, "{then:?} {now:?}");
    assert_eq!(board.place_at(30), board.len());
    let mut book = BoardBook::default();
    read(&mut book, &board.frames(0));
    let read = book.at(u64::try_from(place).unwrap()).unwrap();
    assert_eq!((read.get(1, 0), read.get(0, 0)), (Some(then), board.at(place).get(0, 0)));
}

#[test]
fn a_board_is_bounded_and_comes_in_parts() {
    let mut board = Board::default();
    let mut at_ms = 0;
    while board.takes(at_ms) {
        board.changed(at_ms, 7, 1, live(at_ms * 1_001));
        at_ms += 1;
        assert!(board.back.len() <= BACK_MAX);
    }
    assert!(board.len() < BYTES_MAX + 64);
    let frames = board.frames(0);
    assert!(frames.iter().all(|frame| frame.len() < PART_BYTES + 64));
    assert!(frames.iter().all(|frame| frame.len() > 8), "each has a change");
    assert!(board.frames(board.len()).is_empty());
    let ends_a_part = Board { parts: vec![board.len()], ..board };
    assert_eq!(ends_a_part.frames(0).len(), 1);
    let board = ends_a_part;
    let mut book = BoardBook::default();
    read(&mut book, &frames);
    assert_eq!(book.now.get(7, 1), board.now(7, 1));
    // Who is told a part for the second time, or misses one, refuses it.
    assert!(book.read(Reader(&frames[0][1..]), WORDS).is_err());
    assert!(BoardBook::default().read(Reader(&frames[1][1..]), WORDS).is_err());
    // One that names an offer that no word stands for is none of ours.
    assert!(BoardBook::default().read(Reader(&frames[0][1..]), 7).is_err());
}
