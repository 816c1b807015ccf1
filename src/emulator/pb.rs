//! The generated messages and service traits of `proto/`, one module per package.
#![expect(unreachable_pub, clippy::all, clippy::pedantic, clippy::allow_attributes, reason = "generated code")]

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub(crate) mod google {
    pub(crate) mod api {
        tonic::include_proto!("google.api");
    }
    pub(crate) mod cloud {
        pub(crate) mod location {
            tonic::include_proto!("google.cloud.location");
        }
        pub(crate) mod scheduler {
            pub(crate) mod v1 {
                tonic::include_proto!("google.cloud.scheduler.v1");
            }
        }
        pub(crate) mod tasks {
            pub(crate) mod v2 {
                tonic::include_proto!("google.cloud.tasks.v2");
            }
            pub(crate) mod v2beta3 {
                tonic::include_proto!("google.cloud.tasks.v2beta3");
            }
        }
    }
    pub(crate) mod longrunning {
        tonic::include_proto!("google.longrunning");
    }
    pub(crate) mod monitoring {
        pub(crate) mod v3 {
            tonic::include_proto!("google.monitoring.v3");
        }
    }
    pub(crate) mod iam {
        pub(crate) mod credentials {
            pub(crate) mod v1 {
                tonic::include_proto!("google.iam.credentials.v1");
            }
        }
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

/// Every served file with its options, read at the first use in a process.
pub(crate) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let descriptors: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    DescriptorPool::decode(descriptors).expect("the descriptors were made by this build")
});

/// Generated along: bindings are read from the descriptors, and of this message only the enumerations in it are used.
const _: Option<(google::api::http_rule::Pattern, google::api::HttpRule, google::api::CustomHttpPattern, google::api::MetricDescriptor)> =
    None;
