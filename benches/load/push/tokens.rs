//! An issuer of tokens: a key, its public half over HTTP, and tokens signed with it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::net::TcpListener;

/// Whom the tokens are of, and for.
pub(super) const ACCOUNT: &str = "worker@shop.iam.gserviceaccount.com";
pub(super) const AUDIENCE: &str = "https://shop.example";
pub(super) const ISSUER: &str = "https://accounts.google.com";

pub(super) struct Issuer {
    key: KeyPair,
    /// Where the keys are.
    pub(super) url: String,
}

impl Issuer {
    pub(super) async fn start() -> Result<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no key can be made"))?;
        let der = key.public_key().as_ref();
        // An RSAPublicKey of 2,048 bits in DER: the modulus behind nine bytes of heads, and the exponent at the end.
        let (n, e) = (&der[9..265], &der[der.len() - 3..]);
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        let set = json!({"keys": [{"kid": "bench", "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": e}]}).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/certs", listener.local_addr()?);
        let routes = Router::new().route("/certs", get(move || async move { ([("cache-control", "max-age=86400")], set) }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { key, url })
    }

    /// Makes this many different tokens, as long as Google's, valid for half a day.
    pub(super) fn tokens(&self, count: usize) -> Result<Vec<String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_secs();
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"bench","typ":"JWT"}"#);
        let random = SystemRandom::new();
        let make = |number: usize| {
            let claims = json!({
                "aud": AUDIENCE, "azp": "112233445566778899001", "email": ACCOUNT, "email_verified": true, "exp": now + 43_200, "iat": now, "iss": ISSUER,
                "sub": format!("{number:021}"),
            });
            let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
            let mut signature = vec![0; self.key.public_modulus_len()];
            let signed = self.key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
            signed.map_err(|_| anyhow!("nothing can be signed"))?;
            Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
        };
        (0..count).map(make).collect()
    }
}
