//! A response that can be ended from outside.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::Faults;

/// Lets faults injected from now on, or before, end the response.
pub(super) fn closable(response: Response<Body>, faults: Faults, method: String, names: Vec<String>) -> Response<Body> {
    let mut changed = faults.0.changed.subscribe();
    let closed = async move {
        loop {
            if let Some(status) = faults.close(&method, &names) {
                return status;
            }
            // The sender lives as long as this handle.
            let _ = changed.changed().await;
        }
    };
    // A refusal ends by itself.
    if response.headers().contains_key(Status::GRPC_STATUS) {
        return response;
    }
    response.map(|body| Body::new(Closable { body: Some(body), closed: Box::pin(closed) }))
}

struct Closable {
    /// Nothing once the end has been said.
    body: Option<Body>,
    closed: Pin<Box<dyn Future<Output = Status> + Send>>,
}

impl fmt::Debug for Closable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closable").field("body", &self.body).finish_non_exhaustive()
    }
}

impl HttpBody for Closable {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(body) = this.body.as_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(status) = this.closed.as_mut().poll(cx) {
            // What the stream held is released with it.
            this.body = None;
            let mut trailers = HeaderMap::new();
            return Poll::Ready(status.add_header(&mut trailers).ok().map(|()| Ok(Frame::trailers(trailers))));
        }
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}
