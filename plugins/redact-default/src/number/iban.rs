//! IBANs: country, its length, and the check by 97.

use super::Group;

/// Countries of the registry with the length of their numbers.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 \
CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 \
HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 \
ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 \
SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

fn length_of(country: &[u8]) -> Option<usize> {
    let entry = LENGTHS.split(' ').find(|entry| entry.as_bytes().starts_with(country))?;
    entry.get(2..)?.parse().ok()
}

fn is_capital_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// Two capitals and two digits, or the beginning of that.
pub(super) fn may_begin(text: &[u8]) -> bool {
    text.len() >= 2
        && text.iter().take(2).all(u8::is_ascii_uppercase)
        && text.iter().skip(2).take(2).all(u8::is_ascii_digit)
        && may_continue(text)
        && text.get(..2).is_some_and(|country| length_of(country).is_some())
}

/// Capitals and digits, with or without a full stop at the end.
pub(super) fn may_continue(text: &[u8]) -> bool {
    let text = text.strip_suffix(b".").unwrap_or(text);
    text.iter().all(|byte| is_capital_or_digit(*byte))
}

/// Where the IBAN that begins at the first group ends.
pub(super) fn end(groups: &[Group<'_>]) -> Option<usize> {
    let wanted = length_of(groups.first()?.text.get(..2)?)?;
    let mut number = Vec::with_capacity(wanted);
    for (index, group) in groups.iter().enumerate() {
        if index > 0 && !group.plain_gap {
            return None;
        }
        number.extend_from_slice(group.text);
        if number.len() == wanted {
            return checks(&number).then_some(group.end);
        }
    }
    None
}

/// The first four characters moved to the end, letters as 10 to 35, leave 1 modulo 97.
fn checks(number: &[u8]) -> bool {
    let rotated = number.iter().skip(4).chain(number.iter().take(4));
    let remainder = rotated.fold(0_u32, |remainder, byte| {
        if byte.is_ascii_digit() {
            (remainder * 10 + u32::from(byte - b'0')) % 97
        } else {
            (remainder * 100 + u32::from(byte - b'A') + 10) % 97
        }
    });
    remainder == 1
}
