//! A file of the simulated disk: what is safe, what reading shows, and the changes in between, of
//! which a crash takes whatever it likes.

use rand::{RngExt, rngs::StdRng};

#[derive(Debug, Clone, Default)]
pub(super) struct SimFile {
    /// Survives everything.
    safe: Vec<u8>,
    /// What reading shows: the system's cache.
    shown: Vec<u8>,
    /// Changes of `shown` that the next sync makes safe, in order.
    unsynced: Vec<Change>,
    pub(super) name_is_safe: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Cut(usize),
}

// === impl SimFile ===

impl SimFile {
    pub(super) fn shown(&self) -> &[u8] {
        &self.shown
    }

    pub(super) fn safe_len(&self) -> usize {
        self.safe.len()
    }

    pub(super) fn describe(&self) -> String {
        format!("{} safe, {} shown", self.safe.len(), self.shown.len())
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.change(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn cut(&mut self, len: usize) {
        self.change(Change::Cut(len));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.shown);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.safe);
        }
    }

    /// Some writes reach the disk; the system forgets that it has to write the others. A length is
    /// no such page: a file system that can't keep its own records stops altogether.
    pub(super) fn fail_to_sync(&mut self, rng: &mut StdRng) {
        for change in std::mem::take(&mut self.unsynced) {
            if matches!(change, Change::Cut(_)) || rng.random_bool(0.5) {
                change.apply(&mut self.safe);
            }
        }
    }

    /// The machine goes down: of the unsynced changes anything may be there.
    pub(super) fn survive(&mut self, rng: &mut StdRng) {
        let changes = std::mem::take(&mut self.unsynced);
        if !changes.is_empty() {
            match rng.random_range(0..6) {
                0 => {}
                1 => changes.iter().for_each(|change| change.apply(&mut self.safe)),
                2 => self.keep_the_first(changes, rng),
                3 => {
                    self.keep_the_first(changes, rng);
                    let garbage = rng.random_range(0..200);
                    self.safe.extend((0..garbage).map(|_| rng.random::<u8>()));
                }
                4 => changes.into_iter().for_each(|change| self.keep_torn(change, rng)),
                _ => changes.into_iter().for_each(|change| self.keep_pieces(change, rng)),
            }
            if rng.random_bool(0.3) {
                // Room for what is missing.
                let len = self.safe.len().max(self.shown.len());
                self.safe.resize(len, 0);
            }
        }
        self.shown = self.safe.clone();
    }

    fn keep_the_first(&mut self, changes: Vec<Change>, rng: &mut StdRng) {
        let count = rng.random_range(0..=changes.len());
        for (index, change) in changes.into_iter().take(count).enumerate() {
            match change {
                Change::Write { offset, mut bytes } if index + 1 == count => {
                    bytes.truncate(rng.random_range(0..=bytes.len()));
                    Change::Write { offset, bytes }.apply(&mut self.safe);
                }
                change => change.apply(&mut self.safe),
            }
        }
    }

    /// Each change whole, torn at either end, or not at all.
    fn keep_torn(&mut self, change: Change, rng: &mut StdRng) {
        let there = rng.random_bool(0.6);
        let Change::Write { offset, bytes } = change else {
            if there {
                change.apply(&mut self.safe);
            }
            return;
        };
        let cut = rng.random_range(0..=bytes.len());
        let (offset, bytes) = match rng.random_range(0..6) {
            _ if !there => return,
            0 => (offset, &bytes[..cut]),
            1 => (offset + cut, &bytes[cut..]),
            _ => (offset, &bytes[..]),
        };
        Change::Write { offset, bytes: bytes.to_vec() }.apply(&mut self.safe);
    }

    /// Pieces as the disk keeps them: each is there or not, or is something else.
    fn keep_pieces(&mut self, change: Change, rng: &mut StdRng) {
        let Change::Write { offset, bytes } = change else { return };
        let piece = rng.random_range(1..=300);
        let new = self.safe.len();
        for (index, piece_bytes) in bytes.chunks(piece).enumerate() {
            let offset = offset + index * piece;
            let mut bytes = piece_bytes.to_vec();
            match rng.random_range(0..8) {
                0..=4 => {}
                // What is written over keeps its old bytes instead.
                7 if offset >= new => rng.fill(&mut bytes[..]),
                _ => continue,
            }
            Change::Write { offset, bytes }.apply(&mut self.safe);
        }
    }

    /// All unsynced writes are safe but this one, which reads as zeroes.
    pub(super) fn lose(&mut self, write: usize) {
        for (index, change) in std::mem::take(&mut self.unsynced).into_iter().enumerate() {
            match change {
                Change::Write { offset, bytes } if index == write => {
                    Change::Write { offset, bytes: vec![0; bytes.len()] }.apply(&mut self.safe);
                }
                change => change.apply(&mut self.safe),
            }
        }
        self.shown = self.safe.clone();
    }

    pub(super) fn flip(&mut self, offset: usize) {
        for bytes in [&mut self.safe, &mut self.shown] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 0x10;
            }
        }
    }

    pub(super) fn cut_safely(&mut self, len: usize) {
        self.safe.truncate(len);
        self.shown.truncate(len);
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Cut(len) => file.resize(*len, 0),
            Self::Write { offset, bytes } => {
                if bytes.is_empty() {
                    return;
                }
                let end = offset + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}
