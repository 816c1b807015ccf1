//! A gRPC client that can make any call: a path, a request, a reply.

use anyhow::{Context, Result};
use http::uri::PathAndQuery;
use prost::Message;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// Replies may be this large, in bytes.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What may arrive ahead on a stream, in bytes: the reader is never what a server waits for.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// A connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Client(Grpc<Channel>);

impl Client {
    pub(crate) async fn connect(target: &str) -> Result<Self> {
        Self::connect_with_window(target, WINDOW_BYTES).await
    }

    /// Connects so that at most this much arrives before it is read.
    pub(crate) async fn connect_with_window(target: &str, bytes: u32) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{target}"))?
            .initial_stream_window_size(bytes)
            .initial_connection_window_size(bytes)
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.with_context(|| format!("nobody answers at {target}"))?;
        Ok(Self(Grpc::new(channel).max_decoding_message_size(REPLY_BYTES_MAX)))
    }

    /// Calls `/package.Service/Method`.
    pub(crate) async fn call<Q, R>(&self, path: &'static str, request: Q) -> Result<R, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let reply = grpc.unary(Request::new(request), PathAndQuery::from_static(path), ProstCodec::<Q, R>::default()).await?;
        Ok(reply.into_inner())
    }

    /// Opens a stream in both directions.
    pub(crate) async fn stream<Q, R>(
        &self,
        path: &'static str,
        requests: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<R>, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let reply = grpc.streaming(Request::new(requests), PathAndQuery::from_static(path), ProstCodec::<Q, R>::default()).await?;
        Ok(reply.into_inner())
    }
}
