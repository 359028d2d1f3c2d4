//! The law of streams: however the text is cut into windows, the concatenated output is equal,
//! and no more is held back than the host's bound.

use turnpike_policy_sdk::Redact;

use super::{masked, masking, place, replace};
use crate::RedactDefault;
use crate::scan::{scan, scan_every_atom};

/// The host's bound on held bytes.
const HOST_BOUND: usize = 4096;

const PIECES: [&str; 40] = [
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111",
    " ",
    " ",
    " ",
    "\n",
    ".",
    ",",
    "(",
    ")",
    "+",
    "+1 415 555 0132",
    "(415) 555-0132",
    "030/9018200",
    "DE89 3704 0044 0532 0130 00",
    "DE89",
    "jane.doe@example.com",
    "@",
    "a",
    "word ",
    "Bearer ",
    "q8Zk20dLm4Xw77ab",
    "api_key",
    "=",
    ":",
    "\"",
    "sk-Ab3dEf6hIj9kLm2nOp5qRs",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x0",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "-----BEGIN",
    " RSA PRIVATE KEY-----",
    "é",
    "漢字",
    "12 ",
    "/",
    "-",
    "password: ",
    "secret",
    "        ",
];

/// A small generator with a fixed seed, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Streams `text` in pieces of at most `longest` bytes, as the host does.
fn streamed(policy: &RedactDefault, text: &str, longest: usize, dice: &mut Dice) -> String {
    let (mut out, mut held, mut at) = (String::new(), String::new(), 0);
    while at < text.len() {
        let mut end = (at + 1 + dice.below(longest)).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let window = format!("{held}{}", &text[at..end]);
        at = end;
        let found = policy.scan(&place("input"), &window, false).unwrap();
        let hold = found.hold as usize;
        assert!(hold <= HOST_BOUND, "{hold} bytes held");
        let (settled, rest) = window.split_at(window.len() - hold);
        out.push_str(&replace(settled, &found.spans));
        held = rest.to_owned();
    }
    let found = policy.scan(&place("input"), &held, true).unwrap();
    out.push_str(&replace(&held, &found.spans));
    out
}

#[test]
fn the_output_is_equal_for_every_chunking() {
    let policy = masking();
    let mut dice = Dice(0x5EED);
    for _ in 0..2500 {
        let count = 1 + dice.below(12);
        let text: String = (0..count).map(|_| PIECES[dice.below(PIECES.len())]).collect();
        let whole = masked(&policy, &text);
        for longest in [1, 3, 17] {
            assert_eq!(streamed(&policy, &text, longest, &mut dice), whole, "{text:?}");
        }
    }
}

#[test]
fn the_prefilter_skips_nothing_that_looking_at_every_atom_finds() {
    let mut dice = Dice(0xFACE);
    for round in 0..20_000 {
        let count = 1 + dice.below(14);
        let mut text: String = (0..count).map(|_| PIECES[dice.below(PIECES.len())]).collect();
        if round % 100 == 0 {
            text.insert_str(0, &"word-".repeat(dice.below(1300)));
        }
        for last in [true, false] {
            assert_eq!(scan(&text, last), scan_every_atom(&text, last), "{last} {text:?}");
        }
    }
}

#[test]
fn a_run_without_end_is_released_within_the_bound_and_equally() {
    let policy = masking();
    let mut dice = Dice(7);
    let run = "Ab3dEf6hIj9kLm2nOp5q".repeat(600);
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(90);
    for text in [
        run.clone(),
        format!("sk-{run}"),
        format!("api_key={run} x"),
        "7".repeat(9000),
        "1 ".repeat(5000),
        "4111 ".repeat(2000),
        format!("-----BEGIN PRIVATE KEY-----\n{key}"),
        format!("{run}-----BEGIN PRIVATE KEY-----\n{key}"),
        "@".repeat(7000),
        "字".repeat(4000),
    ] {
        let whole = masked(&policy, &text);
        for longest in [11, 500, 5000] {
            assert!(
                streamed(&policy, &text, longest, &mut dice) == whole,
                "{}",
                text.chars().take(20).collect::<String>()
            );
        }
    }
}

#[test]
fn ordinary_prose_is_released_word_by_word() {
    let policy = masking();
    let found = policy.scan(&place("output"), "Here is what I think about th", false).unwrap();
    assert_eq!(found.hold, 2);
    let found = policy.scan(&place("output"), "Done. ", false).unwrap();
    assert_eq!(found.hold, 0);
}
