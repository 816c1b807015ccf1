//! A gRPC client that can make any call: a path, a request, a reply. Single calls go over HTTP/2 with next to nothing in between, so that on a machine
//! with few cores it is the server that is measured.

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};
use prost::Message;
use tokio::net::TcpStream;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// Replies may be this large, in bytes.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What may arrive ahead on a stream, in bytes: the reader is never what a server waits for.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Before each message: a byte of flags, four of length.
const FRAME_HEAD_BYTES: usize = 5;

/// A connection for single calls, and one for streams that is made when it is needed; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    calls: SendRequest<Bytes>,
    authority: Authority,
    streams: Grpc<Channel>,
}

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
        let streams = Grpc::new(endpoint.connect_lazy()).max_decoding_message_size(REPLY_BYTES_MAX);
        let socket = TcpStream::connect(target).await.with_context(|| format!("nobody answers at {target}"))?;
        socket.set_nodelay(true)?;
        let mut http2 = Builder::new();
        http2.initial_window_size(bytes).initial_connection_window_size(bytes);
        let (calls, connection) = http2.handshake(socket).await?;
        // One that breaks is seen by the calls on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { calls, authority: target.parse()?, streams })
    }

    /// Calls `/package.Service/Method`.
    pub(crate) async fn call<Q, R>(&self, path: &'static str, request: Q) -> Result<R, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        self.call_framed(path, frame(&request)).await
    }

    /// The same with a request that [`frame`] made, for many that are alike.
    pub(crate) async fn call_framed<R: Message + Default + 'static>(&self, path: &'static str, request: Bytes) -> Result<R, Status> {
        let broken = |error: &dyn std::fmt::Display| Status::unavailable(error.to_string());
        let mut head = http::Request::new(());
        *head.method_mut() = Method::POST;
        let mut uri = http::uri::Parts::default();
        (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(self.authority.clone()));
        uri.path_and_query = Some(PathAndQuery::from_static(path));
        *head.uri_mut() = Uri::from_parts(uri).map_err(|error| broken(&error))?;
        head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        head.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        let mut calls = self.calls.clone().ready().await.map_err(|error| broken(&error))?;
        let (response, mut body) = calls.send_request(head, false).map_err(|error| broken(&error))?;
        body.send_data(request, true).map_err(|error| broken(&error))?;
        let response = response.await.map_err(|error| broken(&error))?;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return Err(status);
        }
        let (bytes, status) = read(response.into_body()).await.map_err(|error| broken(&error))?;
        let head = FRAME_HEAD_BYTES.min(bytes.len());
        match status {
            Some(status) if status.code() != tonic::Code::Ok => Err(status),
            // What it has of bytes stays where it is: it is the server that is measured.
            _ => R::decode(bytes.freeze().slice(head..)).map_err(|error| Status::internal(error.to_string())),
        }
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
        let mut grpc = self.streams.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let reply = grpc.streaming(Request::new(requests), PathAndQuery::from_static(path), ProstCodec::<Q, R>::default()).await?;
        Ok(reply.into_inner())
    }
}

/// A request as it goes over the wire.
pub(crate) fn frame(request: &impl Message) -> Bytes {
    let length = request.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    request.encode_raw(&mut frame);
    frame.freeze()
}

/// Reads a body and what its trailers say.
async fn read(mut body: RecvStream) -> Result<(BytesMut, Option<Status>), h2::Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await?;
    Ok((bytes, trailers.as_ref().and_then(Status::from_header_map)))
}
