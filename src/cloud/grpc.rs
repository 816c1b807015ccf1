//! Unary calls over gRPC that no official client offers, with the same credentials. Each is one attempt: whoever repeats it knows that he does.
//!
//! They are for messages, which JSON would carry as base64. Behind an HTTP proxy, through which gRPC does not go here, the same calls go over REST.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Extensions;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::Status;
use tonic::client::Grpc;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic_prost::ProstCodec;

use crate::cloud::Cloud;
use crate::cloud::call::ATTEMPT_TIMEOUT;
use crate::cloud::failure::{Asked, Failure};
use crate::error::{Error, Kind, Result};

/// An answer is read to this size: a full pull is about 11 MB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// An answer that has begun is read within this time: a full pull over a slow line.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// So much may be on its way before it is read, in bytes: a full pull, so that it comes in one go.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Variables that name a proxy for Google's addresses.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// By this header Google finds the server for a resource.
const ROUTING_HEADER: &str = "x-goog-request-params";

/// The connection, with the number by which a broken one is told from its successor; one takes all calls at once.
#[derive(Default)]
pub(crate) struct Line(Mutex<(u64, Option<Channel>)>);

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// `/package.Service/Method`
    pub(crate) path: &'static str,
    /// The field of the request that names the resource.
    pub(crate) field: &'static str,
    /// The answer has to begin within this time.
    pub(crate) limit: Duration,
    /// Whether the server may let that time pass: no answer says nothing of the connection then.
    pub(crate) waits: bool,
}

impl Line {
    fn channel(&self, asked: &Asked) -> Result<(u64, Channel)> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = line.0;
        if let Some(channel) = &line.1 {
            return Ok((number, channel.clone()));
        }
        let channel = open(asked)?;
        line.1 = Some(channel.clone());
        Ok((number, channel))
    }

    /// Makes the next call connect anew: nothing comes through any more.
    fn hang_up(&self, number: u64) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if line.0 == number {
            *line = (number + 1, None);
        }
    }
}

/// Describes the connection, which the first call makes.
fn open(asked: &Asked) -> Result<Channel> {
    let url = asked.endpoint.url(asked.api)?;
    let unusable = |error: tonic::transport::Error| Error::new(Kind::Internal, "no gRPC connection can be described").with_source(error);
    let secure = url.starts_with("https:");
    let mut endpoint = Endpoint::from_shared(url)
        .map_err(unusable)?
        .connect_timeout(ATTEMPT_TIMEOUT)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .tcp_nodelay(true);
    if secure {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots()).map_err(unusable)?;
    }
    Ok(endpoint.connect_lazy())
}

/// Tells whether calls can go over gRPC: not through a proxy.
pub(crate) fn is_spoken(asked: &Asked) -> bool {
    let proxied = || PROXY_VARIABLES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    !(asked.endpoint.is_google() && proxied())
}

impl Cloud {
    /// Makes a call once.
    pub(crate) async fn grpc<Q, R>(&self, asked: &Asked, call: Call, request: Q) -> Result<R>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let (number, channel) = self.0.line.channel(asked)?;
        let late = |_| {
            if !call.waits {
                self.0.line.hang_up(number);
            }
            Failure::Timeout(call.limit).explain(asked)
        };
        let refused = |status: Status| Failure::of_grpc(&status).explain(asked).with_source(status);
        let begin = async {
            let metadata = metadata(self.headers(asked).await?, asked, call);
            let mut grpc = Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
            grpc.ready().await.map_err(|error| refused(Status::from_error(error.into())))?;
            let request = tonic::Request::from_parts(metadata, Extensions::default(), request);
            let path = PathAndQuery::from_static(call.path);
            // As a stream of one: what has begun to come comes to its end, a large message over a slow line too.
            grpc.server_streaming(request, path, ProstCodec::<Q, R>::default()).await.map_err(refused)
        };
        let mut answers = tokio::time::timeout(call.limit, begin).await.map_err(late)??.into_inner();
        let read = async {
            let answer = answers.message().await.map_err(refused)?;
            // The status comes after it.
            answers.message().await.map_err(refused)?;
            answer.ok_or_else(|| Failure::Broken("there was no answer".to_owned()).explain(asked))
        };
        tokio::time::timeout(call.limit.max(READ_TIMEOUT), read).await.map_err(late)?
    }
}

fn metadata(headers: http::HeaderMap, asked: &Asked, call: Call) -> MetadataMap {
    let mut metadata = MetadataMap::from_headers(headers);
    if let Ok(value) = MetadataValue::try_from(format!("{}={}", call.field, escaped(&asked.resource))) {
        metadata.insert(ROUTING_HEADER, value);
    }
    metadata
}

/// Writes a name as part of a query.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 16);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => {
                // A string takes everything.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_for_the_routing_header() {
        assert_eq!(escaped("projects/p-1/topics/a%2B.b~c_d"), "projects%2Fp-1%2Ftopics%2Fa%252B.b~c_d");
    }
}
