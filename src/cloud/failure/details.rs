//! What a gRPC status tells besides its message: Google's `ErrorInfo`, in the forms of `google.rpc`.

use std::collections::HashMap;

use prost::Message as _;

use super::Info;

/// How an `ErrorInfo` is called among other details.
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// Finds the `ErrorInfo`; details that cannot be read are none.
pub(super) fn info(details: &[u8]) -> Option<Info> {
    let status = Status::decode(details).ok()?;
    let any = status.details.into_iter().find(|any| any.type_url == ERROR_INFO)?;
    let ErrorInfo { reason, metadata } = ErrorInfo::decode(any.value.as_slice()).ok()?;
    Some(Info { reason, metadata })
}
