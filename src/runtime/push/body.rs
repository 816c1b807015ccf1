//! Reads a body within its size and its time.

use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::runtime::push::bytes::Held;
use crate::runtime::push::refusal::Refusal;
use crate::runtime::time_limit::within;

/// Small bodies come with their heads: they are there once the connection has had its turn.
const LOOKS: u8 = 2;

/// Refuses a body by the size that it announces, before any of it is read.
pub(super) fn check_announced(headers: &HeaderMap, bytes_max: usize) -> Result<(), Refusal> {
    let Some(announced) = headers.get(CONTENT_LENGTH) else { return Ok(()) };
    match announced.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(length) if usize::try_from(length).is_ok_and(|length| length <= bytes_max) => Ok(()),
        Some(_) => Err(Refusal::TooLarge),
        None => Err(Refusal::Broken("its length is no number".to_owned())),
    }
}

/// Reads a body, for which `held` makes room: at once where its length is known beforehand, else as it comes.
pub(super) async fn read<B>(body: B, bytes_max: usize, time_max: Duration, held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let length = body.size_hint().exact().and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= bytes_max);
    let body = Limited::new(body, bytes_max);
    let read = async {
        match length {
            Some(length) if !held.grow_to(length) => Err(Refusal::Busy),
            Some(_) => Ok(body.collect().await.map_err(refusal_of)?.to_bytes()),
            None => read_as_it_comes(body, held).await,
        }
    };
    within(time_max, LOOKS, read).await.unwrap_or(Err(Refusal::Slow))
}

async fn read_as_it_comes<B>(body: Limited<B>, held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (mut body, mut whole) = (pin!(body), BytesMut::new());
    while let Some(frame) = body.frame().await {
        // Trailers say nothing here.
        let Ok(data) = frame.map_err(refusal_of)?.into_data() else { continue };
        if !held.grow_to(whole.len() + data.len()) {
            return Err(Refusal::Busy);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refusal_of(error: Box<dyn StdError + Send + Sync>) -> Refusal {
    if error.is::<LengthLimitError>() { Refusal::TooLarge } else { Refusal::Broken(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::HeaderValue;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;
    use crate::runtime::push::bytes::Memory;

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_twice_over() {
        let announce = |value: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static(value))]);
            check_announced(&headers, 10)
        };
        assert!(announce("10").is_ok());
        assert!(matches!(announce("11"), Err(Refusal::TooLarge)));
        assert!(matches!(announce("99999999999999999999999"), Err(Refusal::Broken(_))));
        let memory = Memory::new(100);
        let body = async |length: usize| {
            let known = Full::new(Bytes::from(vec![0; length]));
            let half = |part: &[u8]| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(part)));
            let unknown = StreamBody::new(futures_util::stream::iter(vec![0; length].chunks(4).map(half).collect::<Vec<_>>()));
            let (mut one, mut other) = (memory.begin(), memory.begin());
            let read =
                (read(known, 10, Duration::from_secs(9), &mut one).await, read(unknown, 10, Duration::from_secs(9), &mut other).await);
            (read, memory.look().held)
        };
        assert!(matches!(body(10).await, ((Ok(known), Ok(unknown)), 20) if known.len() == 10 && unknown.len() == 10));
        assert!(matches!(body(11).await, ((Err(Refusal::TooLarge), Err(Refusal::TooLarge)), _)));
        assert_eq!(memory.look().held, 0);
    }
}
