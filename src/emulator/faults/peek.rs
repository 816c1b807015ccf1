//! The resources that a request names, read from its first message without knowing its type.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyDataStream, StreamBody};
use prost::encoding::DecodeContext;
use prost::encoding::{WireType, decode_key, decode_varint, skip_field};
use tonic::body::Body;

use crate::emulator::grpc::MESSAGE_BYTES_MAX;

/// Before each gRPC message: one byte of flags, four of length.
const FRAME_HEAD_BYTES: usize = 5;
/// No resource has a longer name.
const NAME_BYTES_MAX: usize = 2048;

/// Reads the first message of a request; returns the names in it, and the request as it was.
pub(super) async fn names(request: Request<Body>) -> (Vec<String>, Request<Body>) {
    let (parts, body) = request.into_parts();
    let mut rest = BodyDataStream::new(body);
    let mut head = BytesMut::new();
    let mut broken = None;
    while !is_whole(&head) {
        match rest.next().await {
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(error)) => broken = Some(Err(error)),
            None => break,
        }
        if broken.is_some() {
            break;
        }
    }
    let head = head.freeze();
    let mut names = Vec::new();
    if let Some(message) = message(&head) {
        collect(&head.slice(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + message), true, &mut names);
    }
    let chunks = stream::iter([Ok(head)].into_iter().chain(broken)).chain(rest);
    let body = Body::new(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))));
    (names, Request::from_parts(parts, body))
}

/// The length of the first message, if it is there and plain.
fn message(head: &[u8]) -> Option<usize> {
    let (flags, length) = (head.first()?, head.get(1..FRAME_HEAD_BYTES)?);
    let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    (*flags == 0 && head.len() >= FRAME_HEAD_BYTES + length).then_some(length)
}

fn is_whole(head: &[u8]) -> bool {
    message(head).is_some() || head.len() > MESSAGE_BYTES_MAX + FRAME_HEAD_BYTES
}

/// Takes the strings that look like names of resources, from the message and from those right inside it.
fn collect(message: &Bytes, inner: bool, names: &mut Vec<String>) {
    let mut left = message.clone();
    while let Ok((tag, wire)) = decode_key(&mut left) {
        if wire != WireType::LengthDelimited {
            if skip_field(wire, tag, &mut left, DecodeContext::default()).is_err() {
                return;
            }
            continue;
        }
        let Some(length) = decode_varint(&mut left).ok().and_then(|length| usize::try_from(length).ok()) else { return };
        if length > left.len() {
            return;
        }
        let field = left.split_to(length);
        if field.starts_with(b"projects/") {
            names.extend(str::from_utf8(&field).ok().filter(|name| name.len() <= NAME_BYTES_MAX).map(str::to_owned));
        } else if inner {
            collect(&field, false, names);
        }
    }
}
