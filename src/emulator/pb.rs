//! The generated messages and service traits of `proto/`, one module per package.
#![expect(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

pub(crate) mod google {
    pub(crate) mod cloud {
        pub(crate) mod location {
            tonic::include_proto!("google.cloud.location");
        }
    }
    pub(crate) mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// Every served file with its options, as a serialized `FileDescriptorSet`.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
