//! Numbers that look random and are the same on every run: a test that failed must fail again.

/// SplitMix64 of `seed` and `serial`: one well mixed number, no state.
pub(crate) fn roll(seed: u64, serial: u64) -> u64 {
    let mut z = seed.wrapping_add(serial.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `length` letters and digits, as in the ids that providers make.
pub(crate) fn letters(seed: u64, serial: u64, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut out = String::with_capacity(length);
    let mut bits = roll(seed, serial);
    for at in 0..length {
        if at % 10 == 9 {
            bits = roll(bits, serial);
        }
        let index = usize::try_from(bits % 62).unwrap_or(0);
        out.push(ALPHABET.get(index).map_or('A', |byte| char::from(*byte)));
        bits /= 62;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_letters_and_another_serial_others() {
        assert_eq!(letters(1, 2, 29), letters(1, 2, 29));
        assert_ne!(letters(1, 2, 29), letters(1, 3, 29));
        assert_eq!(letters(7, 7, 29).len(), 29);
    }
}
