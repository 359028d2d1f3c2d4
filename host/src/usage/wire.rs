//! The bytes of numbers and texts: varints, money without its trailing zeros, floats in as few
//! bytes as their use needs. Knows nothing of records.

use turnpike_ledger::PicoUsd;

/// Bytes that are no record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no usage record of this version")]
pub(super) struct Broken;

/// Fixed-point numbers below this are written as an integer.
const FIXED_MAX: f64 = 1e12;

/// In place of a power of ten: the amount follows in 16 bytes.
const MONEY_RAW: u64 = 15;

/// Appends a number, seven bits a byte.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a number as how far it is from another one, folded to be positive.
pub(super) fn put_signed(out: &mut Vec<u8>, value: u64, from: u64) {
    let off = value.wrapping_sub(from).cast_signed();
    put(out, (off.wrapping_shl(1) ^ (off >> 63)).cast_unsigned());
}

/// Appends an amount, exactly. Prices are round numbers, so most amounts end in many zeros: four
/// bits say how many were left out.
pub(super) fn put_money(out: &mut Vec<u8>, amount: PicoUsd) {
    let packed = u64::try_from(amount.0).ok().and_then(|mut digits| {
        let mut zeros = 0;
        while zeros + 1 < MONEY_RAW && digits != 0 && digits.is_multiple_of(10) {
            digits /= 10;
            zeros += 1;
        }
        digits.checked_mul(16).map(|digits| digits | zeros)
    });
    match packed {
        Some(packed) => put(out, packed),
        None => {
            put(out, MONEY_RAW);
            out.extend(amount.0.to_le_bytes());
        }
    }
}

/// Appends a number in whole steps of one `steps`th, rounded; far off the scale it is exact.
pub(super) fn put_rounded(out: &mut Vec<u8>, value: f64, steps: f64) {
    let scaled = (value * steps).round();
    if value.is_sign_positive() && scaled < FIXED_MAX {
        // A float below the bound has an integer of its own.
        put(out, (scaled as u64).saturating_add(1));
    } else {
        put(out, 0);
        out.extend(value.to_le_bytes());
    }
}

/// Appends a number exactly; a short one if it is a whole number of steps.
pub(super) fn put_exact(out: &mut Vec<u8>, value: f64, steps: f64) {
    let back = (value * steps).round() / steps;
    if back.to_bits() == value.to_bits() {
        put_rounded(out, value, steps);
    } else {
        put(out, 0);
        out.extend(value.to_le_bytes());
    }
}

/// Appends a number with seven significant digits, more only beyond the range of an `f32`.
pub(super) fn put_short(out: &mut Vec<u8>, value: f64) {
    let short = value as f32;
    if short.is_normal() || value == 0.0 {
        out.extend(short.to_le_bytes());
    } else {
        out.extend(f32::NAN.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
}

/// Reads what the functions above have written.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Broken> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(Broken)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Broken> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    /// What was put signed.
    pub(super) fn signed(&mut self, from: u64) -> Result<u64, Broken> {
        let folded = self.varint()?;
        let off = (folded >> 1) ^ (folded & 1).wrapping_neg();
        Ok(from.wrapping_add(off))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Broken> {
        let len = usize::try_from(self.varint()?).map_err(|_| Broken)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or(Broken)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Broken)
    }

    pub(super) fn money(&mut self) -> Result<PicoUsd, Broken> {
        let packed = self.varint()?;
        let zeros = u32::try_from(packed & 15).unwrap_or(0);
        if u64::from(zeros) == MONEY_RAW {
            return Ok(PicoUsd(u128::from_le_bytes(self.array()?)));
        }
        let amount = u128::from(packed >> 4).checked_mul(10_u128.pow(zeros));
        amount.map(PicoUsd).ok_or(Broken)
    }

    /// What was put rounded or exactly.
    pub(super) fn fixed(&mut self, steps: f64) -> Result<f64, Broken> {
        match self.varint()?.checked_sub(1) {
            // The division rounds correctly, so a short decimal comes back as it was.
            Some(scaled) => Ok(scaled as f64 / steps),
            None => Ok(f64::from_le_bytes(self.array()?)),
        }
    }

    /// The number whose shortest decimal form is that of the `f32`, not the `f32` itself: 0.1 comes
    /// back as 0.1 and not as 0.10000000149.
    pub(super) fn short(&mut self) -> Result<f64, Broken> {
        let short = f32::from_le_bytes(self.array()?);
        if short.is_nan() {
            return Ok(f64::from_le_bytes(self.array()?));
        }
        short.to_string().parse().map_err(|_| Broken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turnpike_ledger::PicoUsd;

    use super::{Broken, Reader, put, put_exact, put_money, put_rounded, put_short, put_signed};

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn numbers_and_amounts_come_back_exactly(
            number: u64,
            amount: u128,
            small: u64,
            zeros in 0_u32..18,
            float: f64,
        ) {
            let bytes = written(|out| put(out, number));
            prop_assert_eq!(Reader(&bytes).varint(), Ok(number));
            let round = u128::from(small) * 10_u128.pow(zeros);
            for amount in [amount, u128::from(small), round] {
                let bytes = written(|out| put_money(out, PicoUsd(amount)));
                prop_assert_eq!(Reader(&bytes).money(), Ok(PicoUsd(amount)));
            }
            let bytes = written(|out| put_signed(out, number, small));
            prop_assert_eq!(Reader(&bytes).signed(small), Ok(number));
            let bytes = written(|out| put_exact(out, float, 1e6));
            prop_assert_eq!(Reader(&bytes).fixed(1e6).unwrap().to_bits(), float.to_bits());
        }

        #[test]
        fn decimals_with_few_digits_come_back_exactly(digits in 0_u32..1_000_000) {
            let float = f64::from(digits) / 1e4;
            let bytes = written(|out| put_rounded(out, float, 1e4));
            prop_assert_eq!(Reader(&bytes).fixed(1e4), Ok(float));
            let bytes = written(|out| put_short(out, float));
            prop_assert_eq!(Reader(&bytes).short(), Ok(float));
        }

        #[test]
        fn any_score_comes_back_to_six_digits_or_more(float: f64) {
            let bytes = written(|out| put_short(out, float));
            let back = Reader(&bytes).short().unwrap();
            prop_assert!((back - float).abs() <= float.abs() * 1e-6 || back == float);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while !reader.is_empty() {
                let read = reader.money().and_then(|_| reader.text().map(drop));
                if read.and_then(|()| reader.short()).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn odd_floats_come_back_and_usual_values_are_short() {
        for odd in [-0.0, -1.5, 1e300, f64::INFINITY, 1e-300, f64::MIN_POSITIVE] {
            let bytes = written(|out| put_rounded(out, odd, 10.0));
            let back = Reader(&bytes).fixed(10.0).unwrap();
            assert!(back == odd || odd.abs() < 0.05, "{odd}");
            let bytes = written(|out| put_short(out, odd));
            assert_eq!(Reader(&bytes).short().unwrap().to_bits(), odd.to_bits());
        }
        assert_eq!(written(|out| put_rounded(out, 0.8123, 1e4)).len(), 2);
        assert_eq!(written(|out| put_money(out, PicoUsd(1_234 * 2_500_000))).len(), 3);
        assert_eq!(Reader(&[0xff; 11]).varint(), Err(Broken));
    }
}
