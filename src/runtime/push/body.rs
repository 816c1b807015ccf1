//! Reads a body within its size and its time.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::runtime::push::refusal::Refusal;

/// Refuses a body by the size that it announces, before any of it is read.
pub(super) fn check_announced(headers: &HeaderMap, bytes_max: usize) -> Result<(), Refusal> {
    let Some(announced) = headers.get(CONTENT_LENGTH) else { return Ok(()) };
    match announced.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(length) if usize::try_from(length).is_ok_and(|length| length <= bytes_max) => Ok(()),
        Some(_) => Err(Refusal::TooLarge),
        None => Err(Refusal::Broken("its length is no number".to_owned())),
    }
}

/// Reads a body.
pub(super) async fn read<B>(body: B, bytes_max: usize, time_max: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    match tokio::time::timeout(time_max, Limited::new(body, bytes_max).collect()).await {
        Err(_) => Err(Refusal::Slow),
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(error)) => Err(Refusal::Broken(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_twice_over() {
        let announce = |value: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static(value))]);
            check_announced(&headers, 10)
        };
        assert!(announce("10").is_ok());
        assert!(matches!(announce("11"), Err(Refusal::TooLarge)));
        assert!(matches!(announce("99999999999999999999999"), Err(Refusal::Broken(_))));
        let body = |length: usize| read(Full::new(Bytes::from(vec![0; length])), 10, Duration::from_secs(9));
        assert_eq!(body(10).await.unwrap().len(), 10);
        assert!(matches!(body(11).await, Err(Refusal::TooLarge)));
    }
}
