//! A task's request as a command for a POSIX shell.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{own_headers, service_headers};
use crate::model::task::Task;
use crate::model::text::is_safe;

/// A body up to this size is an argument: Linux takes 128 KiB for one.
const ARGUMENT_BYTES_MAX: usize = 64 * 1024;

/// Renders a task's request as a `curl` command that can be pasted into a POSIX shell; no character of the task can leave its quotes.
///
/// Credentials among the task's headers (`Authorization`, cookies, tokens) are left out. A body that is long or not plain text is decoded
/// from base64, so that the command itself is safe to show.
///
/// ```
/// # use redrive::model::task::{Task, TaskRequest};
/// # let name = "projects/p/locations/l/queues/emails/tasks/1".parse()?;
/// # let request = TaskRequest { method: "POST".into(), url: "http://shop/it's".into(), app_engine: false, headers: vec![], body: "{}".into(), token_account: None };
/// # let task = Task { name, request, schedule_time: None, create_time: None, dispatch_deadline: None, dispatch_count: 0, response_count: 0,
/// #     first_attempt: None, last_attempt: None, full: true, raw: serde_json::Value::Null };
/// let command = redrive::ops::curl(&task);
/// assert!(command.starts_with(r"curl --globoff --request 'POST' --url 'http://shop/it'\''s'"));
/// assert!(command.ends_with("--data-raw '{}'"));
/// # Ok::<(), redrive::Error>(())
/// ```
pub fn curl(task: &Task) -> String {
    let request = &task.request;
    let method = match request.method.as_str() {
        // Without a body to wait for, curl must be told so.
        "HEAD" => "--head".to_owned(),
        method => format!("--request {}", quote(method)),
    };
    // The path of an App Engine target is completed by whoever pastes it.
    let url = if request.app_engine { format!("http://localhost:8080{}", request.url) } else { request.url.clone() };
    let mut command = format!("curl --globoff {method} --url {}", quote(&url));
    for (name, value) in own_headers(task).into_iter().chain(service_headers(task)) {
        // curl reads `-H @x` from a file; what is no header name is left out.
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if is_name && !value.contains(['\n', '\r', '\0']) {
            let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            let _ = write!(command, " \\\n  --header {}", quote(&header));
        }
    }
    if request.body.is_empty() {
        return command;
    }
    let plain = std::str::from_utf8(&request.body)
        .ok()
        .filter(|body| body.len() <= ARGUMENT_BYTES_MAX && body.chars().all(|c| is_safe(c) || c == '\n'));
    match plain {
        Some(body) => format!("{command} \\\n  --data-raw {}", quote(body)),
        None => format!("printf '%s' '{}' | base64 -d | {command} \\\n  --data-binary @-", BASE64.encode(&request.body)),
    }
}

/// Quotes text as one word of a POSIX shell. What must not reach a terminal is written as octal numbers for `printf`; a NUL, which no word can
/// hold, is left out.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.find(|c: char| !(is_safe(c) || c == '\n')).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(plain);
        if !head.is_empty() {
            let _ = write!(out, "'{}'", head.replace('\'', r"'\''"));
        }
        let unsafe_run = tail.find(|c: char| is_safe(c) || c == '\n').unwrap_or(tail.len());
        let (run, tail) = tail.split_at(unsafe_run);
        let octal = run.bytes().filter(|&byte| byte != 0).fold(String::new(), |mut octal, byte| {
            let _ = write!(octal, "\\{byte:03o}");
            octal
        });
        if !octal.is_empty() {
            let _ = write!(out, "\"$(printf '{octal}')\"");
        }
        rest = tail;
    }
    if out.is_empty() { "''".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Has a shell expand the words that `quote` makes.
    fn through_shell(word: &str) -> Vec<u8> {
        let output = Command::new("sh").arg("-c").arg(format!("printf %s {word}")).output().unwrap();
        assert!(output.status.success(), "{word}");
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]
        #[test]
        fn a_shell_gives_back_what_was_quoted(text in r#"(\PC|['"$`\\!;&|*?\n\t\r\x1b\x7f(){}<>~#@%-]|[\x01-\x1f]|\u{202e}|\u{85}){0,24}"#) {
            let word = quote(&text);
            prop_assert_eq!(String::from_utf8(through_shell(&word)).unwrap(), text);
            prop_assert!(word.chars().all(|c| is_safe(c) || c == '\n'));
        }
    }

    #[test]
    fn hard_cases() {
        for text in ["", "'", "''", "$(touch x)", "`x`", "\\", "a\n", "\n\n", "\u{1b}]0;x\u{7}", "-n", "%s%d", "é\u{202e}漢"] {
            assert_eq!(through_shell(&quote(text)), text.as_bytes(), "{text:?}");
        }
        assert_eq!(quote("a\0b"), "'a''b'");
    }
}
