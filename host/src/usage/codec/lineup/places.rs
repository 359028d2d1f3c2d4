//! Which rows of a roster a record says something of: how many, and then where each is, as a bit
//! for every row or as the rows that lie between, whichever is shorter.

use super::super::super::segment::widen;
use super::super::super::wire::{Broken, Reader, put};

/// Those whose flags are not zero.
pub(super) fn put_places(out: &mut Vec<u8>, flags: &[u8]) {
    let count = flags.iter().filter(|flags| **flags != 0).count();
    put(out, widen(count));
    if in_bits(count, flags.len()) {
        let byte = |flags: &[u8]| {
            let bits = flags.iter().enumerate().filter(|(_, flags)| **flags != 0);
            bits.fold(0_u8, |byte, (bit, _)| byte | (1 << bit))
        };
        return out.extend(flags.chunks(8).map(byte));
    }
    let mut between = 0;
    for flags in flags {
        if *flags == 0 {
            between += 1;
        } else {
            put(out, between);
            between = 0;
        }
    }
}

/// For each row whether anything is said of it.
pub(super) fn read_places(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<bool>, Broken> {
    let mut said = vec![false; rows];
    let count = usize::try_from(reader.varint()?).map_err(|_| Broken)?;
    if in_bits(count, rows) {
        for row in said.chunks_mut(8) {
            let byte = reader.byte()?;
            row.iter_mut().enumerate().for_each(|(bit, said)| *said = byte & (1 << bit) != 0);
        }
        return Ok(said);
    }
    let mut next = 0_usize;
    for _ in 0..count {
        let between = usize::try_from(reader.varint()?).map_err(|_| Broken)?;
        let place = next.checked_add(between).ok_or(Broken)?;
        *said.get_mut(place).ok_or(Broken)? = true;
        next = place.saturating_add(1);
    }
    Ok(said)
}

fn in_bits(count: usize, rows: usize) -> bool {
    count > rows.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::super::wire::Reader;
    use super::{put_places, read_places};

    proptest! {
        #[test]
        fn places_come_back(
            flags in proptest::collection::vec(prop_oneof![3 => Just(0), 1 => 1_u8..], 0..60),
        ) {
            let mut out = Vec::new();
            put_places(&mut out, &flags);
            let mut reader = Reader(&out);
            let said: Vec<bool> = flags.iter().map(|flags| *flags != 0).collect();
            prop_assert_eq!(read_places(&mut reader, flags.len()), Ok(said));
            prop_assert!(reader.is_empty());
            prop_assert!(out.len() <= 1 + flags.len().div_ceil(8));
        }
    }
}
