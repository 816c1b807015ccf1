//! The emulator as a process of its own, and calls to it over gRPC.

use std::process::Stdio;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::in_time;

#[expect(unreachable_pub, clippy::enum_variant_names, clippy::pedantic, clippy::allow_attributes, reason = "generated code")]
pub(crate) mod pb {
    tonic::include_proto!("google.pubsub.v1");
}

#[path = "../../../benches/load/rpc.rs"]
pub(crate) mod rpc;

/// What may arrive on a connection that nobody reads, in bytes: the default of HTTP/2.
const SMALL_WINDOW_BYTES: u32 = 65_535;

/// A running emulator; it ends when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    client: rpc::Client,
}

/// A message as it was pulled.
pub(crate) struct Received {
    pub(crate) ack_id: String,
    pub(crate) data: Bytes,
}

fn topic(id: &str) -> String {
    format!("projects/shop/topics/{id}")
}

fn subscription(id: &str) -> String {
    format!("projects/shop/subscriptions/{id}")
}

impl Server {
    /// Starts it from a shell that does `first`.
    pub(crate) async fn start(first: &str) -> Self {
        Self::start_with(first, "").await
    }

    /// The same, with more options.
    pub(crate) async fn start_with(first: &str, options: &str) -> Self {
        let script = format!("{first} && exec \"$0\" emulator --quiet --listen 127.0.0.1:0 --wait-ready {options}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_redrive")]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = in_time(lines.next_line()).await.unwrap().expect("a line");
        let address = line.strip_prefix("ready ").unwrap_or_else(|| panic!("`{line}`")).to_owned();
        let client = rpc::Client::connect(&address).await.unwrap();
        Self { child, address, client }
    }

    /// Returns its resident memory.
    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Makes a topic with a subscription.
    pub(crate) async fn subscribe(&self, of: &str, id: &str) {
        let request = pb::Topic { name: topic(of), ..Default::default() };
        let _: pb::Topic = in_time(self.client.call("/google.pubsub.v1.Publisher/CreateTopic", request)).await.unwrap();
        let request = pb::Subscription { name: subscription(id), topic: topic(of), ack_deadline_seconds: 600, ..Default::default() };
        let _: pb::Subscription = in_time(self.client.call("/google.pubsub.v1.Subscriber/CreateSubscription", request)).await.unwrap();
    }

    /// Publishes, and returns the messages' ids.
    pub(crate) async fn publish(&self, to: &str, payloads: Vec<Bytes>) -> Vec<String> {
        self.try_publish(to, payloads).await.unwrap()
    }

    /// The same, of a server that may go away.
    pub(crate) async fn try_publish(&self, to: &str, payloads: Vec<Bytes>) -> Result<Vec<String>, Status> {
        let messages = payloads.into_iter().map(|data| pb::PubsubMessage { data, ..Default::default() }).collect();
        let request = pb::PublishRequest { topic: topic(to), messages };
        let reply: pb::PublishResponse = in_time(self.client.call("/google.pubsub.v1.Publisher/Publish", request)).await?;
        Ok(reply.message_ids)
    }

    /// Pulls what is there, a few messages at most.
    pub(crate) async fn receive(&self, id: &str) -> Result<Vec<Received>, Status> {
        let request = pb::PullRequest { subscription: subscription(id), max_messages: 4, return_immediately: true };
        let reply: pb::PullResponse = in_time(self.client.call("/google.pubsub.v1.Subscriber/Pull", request)).await?;
        let received = reply.received_messages.into_iter();
        Ok(received.map(|received| Received { ack_id: received.ack_id, data: received.message.unwrap().data }).collect())
    }

    pub(crate) async fn acknowledge(&self, id: &str, ack_ids: Vec<String>) -> Result<(), Status> {
        let request = pb::AcknowledgeRequest { subscription: subscription(id), ack_ids };
        in_time(self.client.call("/google.pubsub.v1.Subscriber/Acknowledge", request)).await
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().await.unwrap().success());
    }

    /// Pulls what is there, acknowledges it, and returns the messages' ids.
    pub(crate) async fn take(&self, id: &str) -> Vec<String> {
        let request = pb::PullRequest { subscription: subscription(id), max_messages: 4, return_immediately: true };
        let reply: pb::PullResponse = in_time(self.client.call("/google.pubsub.v1.Subscriber/Pull", request)).await.unwrap();
        let (ack_ids, messages): (Vec<_>, Vec<_>) =
            reply.received_messages.into_iter().map(|received| (received.ack_id, received.message.unwrap().message_id)).unzip();
        if !ack_ids.is_empty() {
            self.acknowledge(id, ack_ids).await.unwrap();
        }
        messages
    }

    /// Opens a streaming pull without limits on a connection of its own; the stream lasts as long as what comes with it.
    pub(crate) async fn stream(&self, id: &str) -> (Streaming<pb::StreamingPullResponse>, mpsc::Sender<pb::StreamingPullRequest>) {
        let client = rpc::Client::connect_with_window(&self.address, SMALL_WINDOW_BYTES).await.unwrap();
        let (send, requests) = mpsc::channel(1);
        let first = pb::StreamingPullRequest { subscription: subscription(id), stream_ack_deadline_seconds: 600, ..Default::default() };
        send.send(first).await.unwrap();
        let responses = client.stream("/google.pubsub.v1.Subscriber/StreamingPull", ReceiverStream::new(requests));
        (in_time(responses).await.unwrap(), send)
    }

    /// Moves the emulator's clock.
    pub(crate) async fn advance(&self, seconds: u64) {
        let url = format!("http://{}/clock/advance", self.address);
        let request = reqwest::Client::new().post(url).json(&serde_json::json!({"by": format!("{seconds}s")}));
        assert!(in_time(request.send()).await.unwrap().status().is_success());
    }
}
