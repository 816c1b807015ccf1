//! The generated messages and service traits of `proto/`, one module per package.
#![expect(unreachable_pub, clippy::pedantic, reason = "generated code")]

pub(crate) mod google {
    pub(crate) mod cloud {
        pub(crate) mod location {
            tonic::include_proto!("google.cloud.location");
        }
    }
    pub(crate) mod iam {
        pub(crate) mod v1 {
            tonic::include_proto!("google.iam.v1");
        }
    }
    pub(crate) mod pubsub {
        pub(crate) mod v1 {
            tonic::include_proto!("google.pubsub.v1");
        }
    }
    pub(crate) mod rpc {
        tonic::include_proto!("google.rpc");
    }
    pub(crate) mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

/// Every served file with its options, as a serialized `FileDescriptorSet`.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
