//! The rules for what an HTTP task sends, in Google's words. They are those of Cloud Tasks alone: Cloud Scheduler has its own in `target`.

use std::collections::BTreeMap;

use http::Uri;

use crate::emulator::state::Refusal;
use crate::emulator::state::target::{HEADERS_BYTES_MAX, HttpTarget, Method, Token, check_url, encode};

/// The scope of an access token unless the task names one.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Name and value of a header; longer ones are dropped.
const HEADER_BYTES_MAX: usize = 8188;
/// Headers that the service keeps for itself and drops; what begins with `X-CloudTasks-` is kept, and replaced in each request.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "from",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
];

/// Checks a target, and fills in what the service does. A token of the queue's takes the place of the target's own.
pub(super) fn check(target: &mut HttpTarget, of_queue: Option<Token>) -> Result<(), Refusal> {
    if target.url.is_empty() {
        return Err(Refusal::invalid("HttpRequest.url is required."));
    }
    if !target.url.starts_with("http://") && !target.url.starts_with("https://") {
        return Err(Refusal::invalid("HttpTarget.url must start with 'http://' or 'https://'."));
    }
    check_url(&target.url, "HttpRequest.url")?;
    if !target.body.is_empty() && !takes_body(target.method) {
        return Err(Refusal::invalid("Body can only be set if the http_method is POST, PUT, or PATCH."));
    }
    target.token.as_ref().map_or(Ok(()), check_account)?;
    if let Some(token) = of_queue.or_else(|| target.token.take()) {
        target.token = Some(complete(token, &target.url)?);
    }
    target.headers = sanitised(std::mem::take(&mut target.headers));
    if target.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() >= HEADERS_BYTES_MAX {
        return Err(Refusal::invalid("The size of the headers must be less than 80KB."));
    }
    Ok(())
}

/// Tells whether a task of this method may have a body.
fn takes_body(method: Method) -> bool {
    matches!(method, Method::Post | Method::Put | Method::Patch)
}

fn check_account(token: &Token) -> Result<(), Refusal> {
    let (Token::OAuth { email, .. } | Token::Oidc { email, .. }) = token;
    if email.is_empty() {
        return Err(Refusal::invalid("service_account_email must be set."));
    }
    match email.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() && !domain.contains('@') => Ok(()),
        _ => Err(Refusal::invalid("Request contains an invalid argument.")),
    }
}

/// Puts in audience and scope where they are left open; access tokens are for Google's own services only.
fn complete(token: Token, url: &str) -> Result<Token, Refusal> {
    match token {
        Token::Oidc { email, audience } if audience.is_empty() => Ok(Token::Oidc { email, audience: url.to_owned() }),
        Token::Oidc { .. } => Ok(token),
        Token::OAuth { email, scope } => {
            let uri = encode(url).parse::<Uri>();
            if !uri.is_ok_and(|uri| uri.host().is_some_and(|host| host.ends_with(".googleapis.com"))) {
                let text = "Invalid url for HttpRequest.oauth_token. The hostname in the url must end with \".googleapis.com\"";
                return Err(Refusal::invalid(text));
            }
            Ok(Token::OAuth { email, scope: if scope.is_empty() { SCOPE.to_owned() } else { scope } })
        }
    }
}

/// Mends headers, and drops those that cannot be mended, are too long or belong to the service: none is an error.
fn sanitised(headers: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let headers = headers.into_iter().map(|(name, value)| (name, mended(value)));
    headers.filter(|(name, value)| is_name(name) && is_value(value) && name.len() + value.len() <= HEADER_BYTES_MAX).collect()
}

/// The value without line breaks, up to the first NUL.
fn mended(mut value: String) -> String {
    if let Some(end) = value.find('\0') {
        value.truncate(end);
    }
    if value.contains(['\r', '\n']) { value.replace(['\r', '\n'], "_") } else { value }
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

fn is_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let of_google = lower == "x-google" || lower.starts_with("x-google-") || lower.starts_with("x-appengine-");
    let reserved = of_google || RESERVED.contains(&lower.as_str());
    !name.is_empty() && !reserved && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> HttpTarget {
        HttpTarget { url: url.to_owned(), ..HttpTarget::default() }
    }

    fn oidc(email: &str, audience: &str) -> Token {
        Token::Oidc { email: email.to_owned(), audience: audience.to_owned() }
    }

    fn oauth(email: &str, scope: &str) -> Token {
        Token::OAuth { email: email.to_owned(), scope: scope.to_owned() }
    }

    #[test]
    fn headers_are_mended_or_dropped() {
        let kept = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let mut target = HttpTarget { headers, ..target("https://h.example/") };
            check(&mut target, None).unwrap();
            target.headers.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let broken = [("X-Crlf", "a\r\nb"), ("X-Line", "a\nb"), ("X-Nul", "a\0b"), ("X-Space", " "), ("X-Tab", "a\tb"), ("X/Slash", "v")];
        assert_eq!(kept(&broken), ["X-Crlf=a__b", "X-Line=a_b", "X-Nul=a", "X-Space= ", "X-Tab=a\tb", "X/Slash=v"]);
        let names = ["Bad Header", "X\tTab", "X:Colon", "", "X-Ü"].map(|name| (name, "value"));
        let values = [("X-Control", "a\x01b"), ("X-Delete", "a\x7fb"), ("X-Unicode", "ü"), ("X-Empty", "")];
        assert!(kept(&names).is_empty() && kept(&values).is_empty());
        for name in ["Host", "user-agent", "TE", "Via", "From", "X-Forwarded-For", "X-Google", "X-Google-Custom", "x-appengine-custom"] {
            assert!(kept(&[(name, "value")]).is_empty(), "{name}");
        }
        for name in ["Authorization", "Content-Type", "Trailer", "X-Forwarded-Proto", "X-Goog-Custom", "X-CloudTasks-TaskName"] {
            assert_eq!(kept(&[(name, "value")]).len(), 1, "{name}");
        }
        assert_eq!(kept(&[("X-Kept", &"v".repeat(8182)), ("X-Gone", &"v".repeat(8183))]).len(), 1);
    }

    #[test]
    fn tokens_are_completed_and_the_queues_comes_first() {
        let (account, service) = ("tasks@p.iam.gserviceaccount.com", "https://example.googleapis.com/work");
        let full = |url: &str, own: Option<Token>, of_queue: Option<Token>| {
            let mut target = HttpTarget { token: own, ..target(url) };
            check(&mut target, of_queue).map(|()| target.token.unwrap()).map_err(|refusal| refusal.message)
        };
        let url = "https://example.com/work?query";
        assert_eq!(full(url, Some(oidc(account, "")), None), Ok(oidc(account, url)));
        assert_eq!(full(url, Some(oidc(account, "audience")), None), Ok(oidc(account, "audience")));
        assert_eq!(full(service, Some(oauth(account, "")), None), Ok(oauth(account, SCOPE)));
        assert_eq!(full(url, Some(oauth(account, "")), Some(oidc(account, "queue"))), Ok(oidc(account, "queue")));
        assert_eq!(full(url, None, Some(oidc(account, ""))), Ok(oidc(account, url)));
        let unset = Err("service_account_email must be set.".to_owned());
        assert_eq!(full(url, Some(oidc("", "")), Some(oidc(account, "queue"))), unset);
        assert_eq!(full(service, Some(oauth("", "")), None), unset);
        for email in ["not-an-email", "tasks@", "@example.com", "tasks@a@example.com"] {
            assert_eq!(full(url, Some(oidc(email, "")), None), Err("Request contains an invalid argument.".to_owned()), "{email}");
        }
        for url in [url, "https://googleapis.com/work"] {
            let refused = full(url, None, Some(oauth(account, ""))).unwrap_err();
            assert!(refused.starts_with("Invalid url for HttpRequest.oauth_token."), "{refused}");
        }
    }
}
