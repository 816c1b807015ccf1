//! The query of a request: fields of the message, and the parameters that Google's front end takes for itself.

use super::json::{Complaints, set_parameter};
use super::template::percent_decode;
use prost_reflect::DynamicMessage;

/// How the answer is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) enum_numbers: bool,
    pub(super) pretty: bool,
}

/// Names of parameters that are not for the service (<https://cloud.google.com/apis/docs/system-parameters>).
const SYSTEM: [&str; 13] = [
    "access_token",
    "callback",
    "fields",
    "key",
    "oauth_token",
    "passwd",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "userIp",
    "userProject",
    "xgafv",
    ".xgafv",
];

/// Sets the fields that the query names. Empty values are taken as not given, as generated clients send them.
pub(super) fn apply(query: &str, message: &mut DynamicMessage, complaints: &mut Complaints) -> Wanted {
    let mut wanted = Wanted::default();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.is_empty() || value.is_empty() {
            continue;
        }
        // What is no UTF-8 cannot be the name of a field, nor a value of one: shown with marks in the complaint.
        let (name, value) = (form_decode(name), form_decode(value));
        match name.strip_prefix('$').unwrap_or(&name) {
            "alt" => wanted.enum_numbers |= value.split(';').any(|part| part.trim() == "enum-encoding=int"),
            "prettyPrint" => wanted.pretty = matches!(&*value, "true" | "1"),
            system if SYSTEM.contains(&system) => {}
            _ => set_parameter(message, &name, value, complaints),
        }
    }
    wanted
}

/// Decodes a name or a value of a query or a form.
pub(in crate::emulator) fn form_decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(&spaced, false).unwrap_or_else(|| spaced.replace('%', "\u{fffd}"))
}
