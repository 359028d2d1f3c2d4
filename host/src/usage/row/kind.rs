//! Which kinds of records there are, by the first byte of their frame, and what each has. Never
//! reads or writes one.

/// The first byte of a frame with a record. Another version of the format takes another number;
/// the earlier ones below are still read.
pub(super) const RECORD: u8 = 13;
/// The same before it was kept what expected costs were made of, when scores were expected by the
/// rule's second edition.
pub(super) const RECORD_WITHOUT_EXPECTED: u8 = 12;
/// The same when scores were expected by the rule's first edition.
pub(super) const RECORD_BY_FIRST_RULE: u8 = 11;
/// The same when rosters had no board.
pub(super) const RECORD_WITHOUT_BOARD: u8 = 8;
/// The same when all candidates were written out.
pub(super) const RECORD_WITHOUT_ROSTERS: u8 = 7;
/// The same before sessions, agents, aliases, what routing saved and what candidates were scored by
/// were kept.
pub(super) const RECORD_WITHOUT_ATTRIBUTION: u8 = 3;
/// The same before losses were kept.
pub(super) const RECORD_WITHOUT_LOSSES: u8 = 1;

/// The kinds of records that are read.
pub(super) const KINDS: [u8; 7] = [
    RECORD,
    RECORD_WITHOUT_EXPECTED,
    RECORD_BY_FIRST_RULE,
    RECORD_WITHOUT_BOARD,
    RECORD_WITHOUT_ROSTERS,
    RECORD_WITHOUT_ATTRIBUTION,
    RECORD_WITHOUT_LOSSES,
];

pub(super) fn is_attributed(kind: u8) -> bool {
    has_rosters(kind) || kind == RECORD_WITHOUT_ROSTERS
}

pub(super) fn has_rosters(kind: u8) -> bool {
    matches!(kind, RECORD | RECORD_WITHOUT_EXPECTED | RECORD_BY_FIRST_RULE | RECORD_WITHOUT_BOARD)
}
