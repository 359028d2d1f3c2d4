//! What the one pass over a text looks for besides words: marks of form, signs of a hard task, and
//! verbs that name a task. A table of the bytes with which any of them begins lets the pass look
//! only there.

/// What a needle tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign {
    /// A mark of form, by its number in [`MARKS`]; anywhere.
    Mark(u8),
    /// A sign of a hard task, by a number of its own; where a word begins.
    Hard(u8),
    /// A verb that names this task; where a word begins, or anywhere in a script without gaps.
    Asks(&'static str),
}

type Needle = (&'static [u8], Sign);

/// Marks whose presence says something about the task.
pub(crate) const MARKS: [&[u8]; 11] =
    [b"```", b"?", b"def ", b"();", b"{", b"\\", b"$", b"\n- ", b"(a)", b".csv", b"http"];

const TRANSLATION: &str = "translation";
const SUMMARIZATION: &str = "summarization";
const EXTRACTION: &str = "extraction";

/// Needles with the same first byte stand together.
const NEEDLES: [Needle; 56] = [
    (b"\n- ", Sign::Mark(7)),
    (b"$", Sign::Mark(6)),
    (b"();", Sign::Mark(3)),
    (b"(a)", Sign::Mark(8)),
    (b".csv", Sign::Mark(9)),
    (b"?", Sign::Mark(1)),
    (b"\\", Sign::Mark(5)),
    (b"```", Sign::Mark(0)),
    (b"algorithm", Sign::Hard(0)),
    (b"architect", Sign::Hard(1)),
    (b"complexity", Sign::Hard(2)),
    (b"comprehensive", Sign::Hard(3)),
    (b"concurren", Sign::Hard(4)),
    (b"contract", Sign::Hard(5)),
    (b"def ", Sign::Mark(2)),
    (b"derive", Sign::Hard(6)),
    (b"diagnos", Sign::Hard(7)),
    (b"distributed", Sign::Hard(8)),
    (b"edge case", Sign::Hard(9)),
    (b"extract all", Sign::Asks(EXTRACTION)),
    (b"extract the", Sign::Asks(EXTRACTION)),
    (b"extract every", Sign::Asks(EXTRACTION)),
    (b"http", Sign::Mark(10)),
    (b"in depth", Sign::Hard(10)),
    (b"in-depth", Sign::Hard(11)),
    (b"legal", Sign::Hard(12)),
    (b"liabilit", Sign::Hard(13)),
    (b"optimi", Sign::Hard(14)),
    (b"proof", Sign::Hard(15)),
    (b"prove", Sign::Hard(16)),
    (b"refactor", Sign::Hard(17)),
    (b"rigorous", Sign::Hard(18)),
    ("résume".as_bytes(), Sign::Asks(SUMMARIZATION)),
    (b"step by step", Sign::Hard(19)),
    (b"strateg", Sign::Hard(20)),
    (b"summari", Sign::Asks(SUMMARIZATION)),
    (b"theorem", Sign::Hard(21)),
    (b"tl;dr", Sign::Asks(SUMMARIZATION)),
    (b"tldr", Sign::Asks(SUMMARIZATION)),
    (b"tradeoff", Sign::Hard(22)),
    (b"trade-off", Sign::Hard(23)),
    (b"tradurre", Sign::Asks(TRANSLATION)),
    (b"traduc", Sign::Asks(TRANSLATION)),
    (b"traduir", Sign::Asks(TRANSLATION)),
    (b"traduis", Sign::Asks(TRANSLATION)),
    (b"translat", Sign::Asks(TRANSLATION)),
    (b"vertaal", Sign::Asks(TRANSLATION)),
    (b"zusammenfass", Sign::Asks(SUMMARIZATION)),
    (b"{", Sign::Mark(4)),
    ("übersetz".as_bytes(), Sign::Asks(TRANSLATION)),
    ("перевед".as_bytes(), Sign::Asks(TRANSLATION)),
    ("总结".as_bytes(), Sign::Asks(SUMMARIZATION)),
    ("翻译".as_bytes(), Sign::Asks(TRANSLATION)),
    ("翻譯".as_bytes(), Sign::Asks(TRANSLATION)),
    ("翻訳".as_bytes(), Sign::Asks(TRANSLATION)),
    ("要約".as_bytes(), Sign::Asks(SUMMARIZATION)),
];

/// Which of two tasks that are both asked for goes first: the lower.
pub(crate) fn rank(task: &str) -> u8 {
    match task {
        TRANSLATION => 0,
        SUMMARIZATION => 1,
        _ => 2,
    }
}

/// The byte is part of a word: ASCII letters, digits and everything beyond ASCII.
pub(crate) const WORD: u8 = 1;
/// A needle may begin with it where a word begins.
pub(crate) const AT_WORDS: u8 = 2;
/// A needle may begin with it anywhere.
pub(crate) const ANYWHERE: u8 = 4;

/// For each byte its class, and where its needles begin and end.
const TABLE: [(u8, u8, u8); 256] = table();

#[allow(clippy::indexing_slicing, reason = "const evaluation checks the bounds")]
const fn table() -> [(u8, u8, u8); 256] {
    let mut table = [(0, 0, 0); 256];
    let mut byte = 0;
    while byte < 256 {
        if byte >= 0x80 || (byte as u8).is_ascii_alphanumeric() {
            table[byte].0 = WORD;
        }
        byte += 1;
    }
    let mut index = 0;
    while index < NEEDLES.len() {
        let first = NEEDLES[index].0[0] as usize;
        if table[first].2 == 0 {
            table[first].1 = index as u8;
        } else {
            assert!(table[first].2 as usize == index, "needles of one first byte are apart");
        }
        table[first].2 = index as u8 + 1;
        let anywhere = first >= 0x80 || matches!(NEEDLES[index].1, Sign::Mark(_));
        table[first].0 |= if anywhere { ANYWHERE } else { AT_WORDS };
        index += 1;
    }
    table
}

fn entry(byte: u8) -> (u8, u8, u8) {
    TABLE.get(usize::from(byte)).copied().unwrap_or_default()
}

pub(crate) fn class(byte: u8) -> u8 {
    entry(byte).0
}

pub(crate) fn is_word(byte: u8) -> bool {
    class(byte) & WORD != 0
}

pub(crate) fn beginning_with(byte: u8) -> &'static [Needle] {
    let (_, from, to) = entry(byte);
    NEEDLES.get(usize::from(from)..usize::from(to)).unwrap_or_default()
}
