//! Bytes in base64, with padding (RFC 4648, section 4).

use crate::memory::reserve;
use crate::text::Refusable;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the bytes in base64.
pub(super) fn add_base64(text: &mut Vec<u8>, bytes: &[u8]) -> Refusable {
    reserve(text, 4 * bytes.len().div_ceil(3))?;
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digits = [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize]);
        let used = three.len() + 1;
        text.extend_from_slice(&digits[..used]);
        text.extend_from_slice(&b"=="[..4 - used]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        let of = |bytes: &[u8]| {
            let mut text = Vec::new();
            add_base64(&mut text, bytes).unwrap();
            String::from_utf8(text).unwrap()
        };
        // RFC 4648, section 10.
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in pairs {
            assert_eq!(of(bytes.as_bytes()), text);
        }
        assert_eq!(of(b"\xff\xff\xfe"), "///+");
    }
}
