//! RSA keys: made, shown in the formats that verifiers read, and used to sign.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::der;

/// A certificate begins this long before it is shown, for clocks that are behind …
const CERTIFICATE_BEFORE: SignedDuration = SignedDuration::from_hours(24);
/// … and ends this long after, as Google's do. It is made for each look, so that it never ends while the emulator runs.
const CERTIFICATE_AFTER: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Key ids of Google's have 40 hexadecimal digits.
const KEY_ID_BYTES: usize = 20;

/// A key pair with its id.
pub(super) struct SigningKey {
    pair: KeyPair,
    id: String,
}

/// A key that checks signatures: DER, a `SubjectPublicKeyInfo` or an `RSAPublicKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey(Vec<u8>);

impl SigningKey {
    /// Makes a new pair, which takes a good part of a second.
    pub(super) fn generate() -> Result<Self, String> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key can be made".to_owned())?;
        let id = PublicKey(pair.public_key().as_ref().to_vec()).id();
        Ok(Self { pair, id })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Makes a JSON web token of these claims.
    pub(super) fn sign(&self, claims: &Json) -> Result<String, String> {
        let head = json!({"alg": "RS256", "kid": self.id, "typ": "JWT"});
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    fn signature(&self, of: &[u8]) -> Result<Vec<u8>, String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), of, &mut signature).map_err(|_| "nothing can be signed".to_owned())?;
        Ok(signature)
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().to_vec())
    }

    /// The private key as it stands in a credentials file: PKCS #8 in PEM.
    pub(super) fn private_pem(&self) -> Result<String, String> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| "the key cannot be written".to_owned())?;
        Ok(der::pem("PRIVATE KEY", der.as_ref()))
    }

    /// The public key as a JSON web key.
    pub(super) fn jwk(&self) -> Json {
        let (modulus, exponent) = der::modulus_and_exponent(self.pair.public_key().as_ref()).unwrap_or_default();
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        json!({"kid": self.id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": e})
    }

    /// The public key in a certificate that it has signed itself, in PEM.
    pub(super) fn certificate(&self, name: &str, now: Timestamp) -> Result<String, String> {
        let failed = |_| "no certificate can be made".to_owned();
        let public: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(failed)?;
        let serial = Sha256::digest(self.id.as_bytes()).iter().take(7).fold(1, |serial, &byte| serial << 8 | u64::from(byte));
        let (from, until) = (now.checked_sub(CERTIFICATE_BEFORE), now.checked_add(CERTIFICATE_AFTER));
        let (from, until) = (from.unwrap_or(now), until.unwrap_or(now));
        let body = der::to_be_signed(name, public.as_ref(), serial, from, until);
        Ok(der::pem("CERTIFICATE", &der::certificate(&body, &self.signature(&body)?)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads a public key in PEM; certificates are none.
    pub(super) fn from_pem(text: &str) -> Option<Self> {
        let der = der::from_pem(text, "PUBLIC KEY").or_else(|| der::from_pem(text, "RSA PUBLIC KEY"))?;
        // Parsed once here, so that what is no key is refused when it is given.
        aws_lc_rs::signature::ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).ok()?;
        Some(Self(der))
    }

    /// An id as Google would give.
    pub(super) fn id(&self) -> String {
        let digest = Sha256::digest(&self.0);
        digest.iter().take(KEY_ID_BYTES).fold(String::new(), |id, byte| id + &format!("{byte:02x}"))
    }

    #[cfg(test)]
    pub(super) fn der(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(text, signature).is_ok()
    }
}
