//! The contents of messages: where propagated headers travel. In `django-google-cloud-tasks` they are within the JSON, elsewhere they are attributes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::runtime::Compat;
use crate::runtime::propagation::Headers;
use crate::runtime::wire::Layout;
use crate::runtime::wire::python::dumps;

/// The field with the headers, among those of the content.
const HEADERS_KEY: &str = "_http_headers";

impl Layout {
    /// Tells whether headers go along as attributes.
    pub(crate) fn headers_are_attributes(&self) -> bool {
        self.compat != Compat::DjangoGoogleCloudTasks
    }

    /// Returns the data of a message, with the headers where they belong into it; content that is no JSON stays as it is.
    pub(crate) fn message_data(&self, content: Bytes, headers: &Headers) -> Bytes {
        if self.compat == Compat::DjangoGcp {
            return serde_json::from_slice(&content).map_or(content, |value: Value| dumps(&value).into());
        }
        if self.headers_are_attributes() {
            return content;
        }
        let Some(mut fields) = object(&content) else { return content };
        if !headers.is_empty() {
            let named = headers.iter().map(|(name, value)| (titled(name), Value::from(value))).collect();
            fields.insert(HEADERS_KEY.to_owned(), Value::Object(named));
        }
        dumps(&Value::Object(fields)).into()
    }

    /// Takes the propagated headers off a message: the content as its handler takes it, and the headers.
    pub(crate) fn message_content(&self, data: Bytes, attributes: &BTreeMap<String, String>, propagated: &[String]) -> (Bytes, Headers) {
        if self.headers_are_attributes() {
            let headers = Headers::only(propagated, attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            return (data, headers);
        }
        let Some(mut fields) = object(&data).filter(|fields| fields.contains_key(HEADERS_KEY)) else { return (data, Headers::default()) };
        let headers = match fields.shift_remove(HEADERS_KEY) {
            Some(Value::Object(named)) => {
                Headers::only(propagated, named.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))))
            }
            _ => Headers::default(),
        };
        (serde_json::to_vec(&fields).map_or(data, Bytes::from), headers)
    }
}

fn object(data: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(data).ok()
}

/// A header's name as Django gives it: `traceparent` is `Traceparent`.
fn titled(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Host;
    use crate::runtime::config::Config;

    fn layout(compat: Compat) -> Layout {
        let config = Config { compat, ..Config::default() };
        Layout::new(&config, &Host { location: "l".parse().unwrap(), url: "https://s".to_owned(), account: None })
    }

    fn headers() -> Headers {
        let mut headers = Headers::default();
        headers.set("traceparent", "00-a-b-01");
        headers
    }

    #[test]
    fn headers_are_within_the_content_or_beside_it() {
        let names = ["traceparent".to_owned()];
        let a = layout(Compat::DjangoGoogleCloudTasks);
        let data = a.message_data(Bytes::from_static(br#"{"price":3,"name":"\u00e9"}"#), &headers());
        assert_eq!(std::str::from_utf8(&data).unwrap(), r#"{"price": 3, "name": "\u00e9", "_http_headers": {"Traceparent": "00-a-b-01"}}"#);
        let (content, read) = a.message_content(data, &BTreeMap::new(), &names);
        assert_eq!((read, &content[..]), (headers(), r#"{"price":3,"name":"é"}"#.as_bytes()));

        let b = layout(Compat::DjangoGcp);
        assert_eq!(
            &b.message_data(Bytes::from_static(br#"{"price":3,"name":"\u00e9"}"#), &headers())[..],
            br#"{"price": 3, "name": "\u00e9"}"#
        );
        assert_eq!(&b.message_data(Bytes::from_static(b"text"), &headers())[..], b"text");

        let native = layout(Compat::Native);
        let content = Bytes::from_static(br#"{"_http_headers":{"traceparent":"x"}}"#);
        assert_eq!(native.message_data(content.clone(), &headers()), content);
        let attributes = BTreeMap::from([("traceparent".to_owned(), "00-a-b-01".to_owned()), ("cookie".to_owned(), "c".to_owned())]);
        assert_eq!(native.message_content(content.clone(), &attributes, &names), (content, headers()));
    }

    /// What others publish may be anything.
    #[test]
    fn content_that_is_no_object_stays_as_it_is() {
        let a = layout(Compat::DjangoGoogleCloudTasks);
        for text in ["[1]", "7", "\u{fffd}", "", r#"{"a":"#] {
            let content = Bytes::copy_from_slice(text.as_bytes());
            assert_eq!(a.message_data(content.clone(), &headers()), content);
            assert_eq!(a.message_content(content.clone(), &BTreeMap::new(), &[]), (content, Headers::default()));
        }
        for hostile in
            [r#"{"_http_headers":7}"#, r#"{"_http_headers":{"traceparent":{}}}"#, r#"{"_http_headers":{"traceparent":"a\r\nb: c"}}"#]
        {
            let (content, read) =
                a.message_content(Bytes::copy_from_slice(hostile.as_bytes()), &BTreeMap::new(), &["traceparent".to_owned()]);
            assert_eq!((&content[..], read), (&b"{}"[..], Headers::default()));
        }
    }
}
