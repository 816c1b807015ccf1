//! The little of ASN.1 that certificates and keys need: what is written here is DER, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `sha256WithRSAEncryption`, without parameters.
const SHA256_WITH_RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];
/// `id-at-commonName`.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
/// Lines of PEM have this many characters.
const PEM_LINE_CHARS: usize = 64;

/// What a certificate says before it is signed: `name` is both issuer and subject, `public_key` a `SubjectPublicKeyInfo`.
pub(super) fn to_be_signed(name: &str, public_key: &[u8], serial: u64, from: Timestamp, until: Timestamp) -> Vec<u8> {
    let name = sequence(&[&tlv(SET, &sequence(&[COMMON_NAME, &tlv(UTF8_STRING, name.as_bytes())]))]);
    let validity = sequence(&[&utc(from), &utc(until)]);
    sequence(&[&integer(serial), SHA256_WITH_RSA, &name, &validity, &name, public_key])
}

/// A whole certificate (version 1, for it has no extensions) of what was signed and the signature.
pub(super) fn certificate(signed: &[u8], signature: &[u8]) -> Vec<u8> {
    let no_unused_bits = [&[0], signature].concat();
    sequence(&[signed, SHA256_WITH_RSA, &tlv(BIT_STRING, &no_unused_bits)])
}

/// The modulus and the exponent of an `RSAPublicKey`, without leading zeros.
pub(super) fn modulus_and_exponent(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, _) = read(key, SEQUENCE)?;
    let (modulus, rest) = read(fields, INTEGER)?;
    let (exponent, _) = read(rest, INTEGER)?;
    Some((without_zeros(modulus), without_zeros(exponent)))
}

/// Wraps DER in lines for people and files.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(PEM_LINE_CHARS) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

/// Takes the DER out of a PEM text with this label.
pub(super) fn from_pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?.strip_suffix(&format!("-----END {label}-----"))?;
    let inner: String = inner.split_ascii_whitespace().collect();
    STANDARD.decode(inner).ok()
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

/// Splits off one value of a kind: what it holds, and what comes after it.
fn read(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    if let Ok(length @ 0..=0x7f) = u8::try_from(content.len()) {
        value.push(length);
    } else {
        let length = content.len().to_be_bytes();
        let length = without_zeros(&length);
        value.push(0x80 | u8::try_from(length.len()).expect("a length has eight bytes at most"));
        value.extend_from_slice(length);
    }
    value.extend_from_slice(content);
    value
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn integer(number: u64) -> Vec<u8> {
    // A first bit would make it negative.
    let bytes = [&[0], number.to_be_bytes().as_slice()].concat();
    let from = bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    tlv(INTEGER, &bytes[from..])
}

/// Years from 2050 on would be written otherwise; the certificates here last for days.
fn utc(time: Timestamp) -> Vec<u8> {
    tlv(UTC_TIME, time.to_zoned(TimeZone::UTC).strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_written_as_short_as_can_be() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(u64::MAX).len(), 11);
        assert_eq!(tlv(4, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tlv(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(tlv(4, &[7; 1000])[..4], [4, 0x82, 3, 0xe8]);
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![9; length];
            assert_eq!(read(&tlv(4, &content), 4), Some((content.as_slice(), [].as_slice())), "{length}");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_value() {
        let whole = tlv(SEQUENCE, &[0; 300]);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], SEQUENCE), None, "{length}");
        }
        assert_eq!(read(&whole, SET), None);
        assert_eq!(read(&[SEQUENCE, 0xff], SEQUENCE), None);
    }

    #[test]
    fn pem_goes_there_and_back() {
        let der: Vec<u8> = (0..=255).collect();
        let text = pem("PUBLIC KEY", &der);
        assert!(text.lines().all(|line| line.len() <= PEM_LINE_CHARS));
        assert_eq!(from_pem(&text, "PUBLIC KEY"), Some(der));
        assert_eq!(from_pem(&text, "PRIVATE KEY"), None);
        assert_eq!(from_pem("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "PUBLIC KEY"), None);
    }
}
