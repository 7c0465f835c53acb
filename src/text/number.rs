//! Numbers as text, as Python's `repr` writes them.

use crate::memory::reserve;
use crate::text::{Refusable, add};

/// The most characters of a 64-bit integer.
const DIGITS: usize = 20;

/// The largest integer that each program keeps exact which reads numbers as IEEE 754 doubles: JavaScript's
/// `Number.MAX_SAFE_INTEGER`.
pub(super) const MAX_SAFE: u64 = (1 << 53) - 1;

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// Appends an unsigned integer.
#[inline]
pub(super) fn add_u64(text: &mut Vec<u8>, value: u64) -> Refusable {
    let mut digits = [0; DIGITS];
    let (mut at, mut rest) = (DIGITS, value);
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    let pair = PAIRS[rest as usize];
    if rest >= 10 {
        at -= 1;
        digits[at] = pair[1];
    }
    at -= 1;
    digits[at] = if rest >= 10 { pair[0] } else { pair[1] };
    add(text, &digits[at..])
}

/// Appends a signed integer.
#[inline]
pub(super) fn add_i64(text: &mut Vec<u8>, value: i64) -> Refusable {
    if value < 0 {
        add(text, b"-")?;
    }
    add_u64(text, value.unsigned_abs())
}

/// Appends nine digits: the nanoseconds of a second.
pub(super) fn add_nine_digits(text: &mut Vec<u8>, value: u32) -> Refusable {
    let mut digits = [b'0'; 9];
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    add(text, &digits)
}

/// Appends a float: the shortest digits that are this number, with an exponent from 1e16 on and below 1e-4.
pub(super) fn add_f64(text: &mut Vec<u8>, value: f64) -> Refusable {
    // What json.dumps writes, which JSON does not have.
    if value.is_nan() {
        return add(text, b"NaN");
    }
    if value.is_infinite() {
        return add(text, if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        let point: &[u8] = if plain.contains('.') { b"" } else { b".0" };
        add(text, plain.as_bytes())?;
        return add(text, point);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let scientific = format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    reserve(text, scientific.len())?;
    add(text, scientific.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(add: impl FnOnce(&mut Vec<u8>) -> Refusable) -> String {
        let mut text = Vec::new();
        add(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn integers() {
        let mut all: Vec<u64> = (0..=u64::BITS).map(|bits| 1_u64.checked_shl(bits).unwrap_or(0)).collect();
        all.extend((0..20).map(|power| 10_u64.pow(power)));
        for value in all.into_iter().flat_map(|value| [value, value.wrapping_sub(1), value.wrapping_add(9)]) {
            assert_eq!(text(|text| add_u64(text, value)), value.to_string());
            let signed = value.cast_signed();
            assert_eq!(text(|text| add_i64(text, signed)), signed.to_string());
        }
    }

    #[test]
    fn floats_are_those_of_python() {
        // Each as CPython 3.11 prints it.
        let all = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (1_795_403_415.670_123, "1795403415.670123"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in all {
            assert_eq!(text(|text| add_f64(text, value)), expected);
        }
    }

    #[test]
    fn nanoseconds_keep_their_zeros() {
        assert_eq!(text(|text| add_nine_digits(text, 0)), "000000000");
        assert_eq!(text(|text| add_nine_digits(text, 120_000_034)), "120000034");
    }
}
