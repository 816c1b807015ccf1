//! A receiver of pushes and tasks: notes what it is sent, and answers as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redrive::model::message::Message;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The message in the envelope of a push.
    pub(crate) fn message(&self) -> Message {
        read_message(&self.json()["message"])
    }
}

/// Makes a message of Pub/Sub's JSON.
pub(crate) fn read_message(value: &serde_json::Value) -> Message {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Message {
        id: text("messageId"),
        data: STANDARD.decode(text("data")).unwrap().into(),
        attributes: value["attributes"]
            .as_object()
            .map_or_else(BTreeMap::new, |_| serde_json::from_value(value["attributes"].clone()).unwrap()),
        ordering_key: text("orderingKey"),
        publish_time: None,
        delivery_attempt: None,
    }
}

type Answer = dyn Fn(&Asked) -> u16 + Send + Sync;

/// A server on a port of its own.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Answer>,
}

impl Handler {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> u16 + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let handler = Self { address: listener.local_addr().unwrap(), asked: Arc::default(), answer: Arc::new(answer) };
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(handler.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        handler
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn take(State(handler): State<Handler>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let asked = Asked { path: uri.to_string(), headers, body };
    let status = (handler.answer)(&asked);
    handler.asked.lock().unwrap().push(asked);
    let headers = if status == 302 { vec![("location", "/elsewhere".to_owned())] } else { vec![] };
    let mut answer = HeaderMap::new();
    for (name, value) in headers {
        answer.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), answer)
}
