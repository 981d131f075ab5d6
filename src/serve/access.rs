//! Access to the server: bearer tokens, names of the host, and origins of web pages.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, StatusCode, Version};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use subtle::{Choice, ConstantTimeEq};

use super::Failure;
use crate::bounded;

/// Shortest accepted token, in characters: a short one can be guessed.
const SHORTEST_TOKEN: usize = 16;
/// Longest accepted token, in characters.
const LONGEST_TOKEN: usize = 512;
/// Beginning of a WebSocket protocol that carries a token, which a browser cannot send otherwise.
const TOKEN_PROTOCOL: &str = "emovox.token.";

/// Secrets, one of which a request must have. Without any, every request is accepted.
#[derive(Clone, Default)]
pub struct Tokens(Vec<String>);

impl fmt::Debug for Tokens {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl Tokens {
    /// Reads tokens from a file, one a line. Empty lines and lines with `#` at their start are
    /// ignored.
    ///
    /// # Errors
    /// If the file cannot be read, has no token, or has one that is too short or has other
    /// characters than those of RFC 6750.
    pub fn read(path: &Path) -> Result<Tokens> {
        let text = bounded::read_text(path, bounded::SETTINGS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().map(str::trim).zip(1..);
        let mut tokens = Vec::new();
        for (token, line) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
            // The message does not contain the token.
            let place = || format!("{}, line {line}", path.display());
            ensure!(
                (SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&token.len()),
                "{}: a token has {SHORTEST_TOKEN} to {LONGEST_TOKEN} characters, but this one has {}; \
                 make one with: openssl rand -hex 32",
                place(),
                token.len()
            );
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
            ensure!(
                token.chars().all(is_allowed),
                "{}: a token has only the characters A-Z a-z 0-9 - . _ ~ + / =; make one with: openssl \
                 rand -hex 32",
                place()
            );
            tokens.push(token.to_string());
        }
        ensure!(
            !tokens.is_empty(),
            "{} has no token; write one a line, for example: openssl rand -hex 32 > {}",
            path.display(),
            path.display()
        );
        Ok(Tokens(tokens))
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with every token, in a time that depends only on the lengths.
    fn contains(&self, given: &[u8]) -> bool {
        let equal = self.0.iter().map(|token| token.as_bytes().ct_eq(given));
        equal.fold(Choice::from(0), |any, equal| any | equal).into()
    }
}

/// The rules for requests.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) tokens: Tokens,
    /// Origins of other web pages that may use the server, as `https://name`.
    pub(super) origins: Vec<String>,
    /// Accepted names of the host; `None` for all.
    pub(super) hosts: Option<Vec<String>>,
}

impl Access {
    /// The rules for a server at `address`. On a loopback address only the names of this machine
    /// are accepted, so that a page that a browser loaded under another name, which now leads to
    /// this machine, cannot use the server (DNS rebinding).
    pub(super) fn new(
        address: IpAddr,
        tokens: Tokens,
        origins: Vec<String>,
        mut hosts: Vec<String>,
    ) -> Access {
        if address.is_loopback() {
            let own = match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            for name in ["localhost", "127.0.0.1", "[::1]", &own] {
                if !hosts.iter().any(|host| host == name) {
                    hosts.push(name.into());
                }
            }
        }
        Access {
            tokens,
            origins,
            hosts: (!hosts.is_empty()).then_some(hosts),
        }
    }

    /// Checks the Host header, which HTTP/1.0 does not need.
    pub(super) fn check_host(&self, version: Version, headers: &HeaderMap) -> Result<(), Failure> {
        let given = headers.get_all(HOST).iter().count();
        if given > 1 || given == 0 && version >= Version::HTTP_11 {
            // RFC 9112, section 3.2.
            return Err(Failure::bad_request(
                "a request has exactly one Host header",
            ));
        }
        let (Some(hosts), Some(host)) = (&self.hosts, headers.get(HOST)) else {
            return Ok(());
        };
        let host = host.to_str().unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        if hosts
            .iter()
            .any(|accepted| accepted.eq_ignore_ascii_case(name))
        {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "wrong-host",
            format!(
                "this server does not accept the name in the Host header; use {}, or start the server \
                 with --allow-host NAME",
                hosts.join(" or ")
            ),
        ))
    }

    /// Checks that a page which sends a request is one of this server or of an allowed origin.
    /// Other programs than browsers send no Origin header.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        // The scheme is that of a proxy in front of this server.
        let is_own = origin
            .split_once("://")
            .is_some_and(|(_, name)| host.is_some_and(|host| host.eq_ignore_ascii_case(name)));
        if is_own || self.origins.iter().any(|allowed| allowed == origin) {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "wrong-origin",
            "a page of another origin must not use this server; start the server with --allow-origin \
             URL to allow it",
        ))
    }

    /// Checks the token: `Authorization: Bearer TOKEN`, or for a WebSocket of a browser the
    /// protocol `emovox.token.BASE64`.
    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if self.tokens.is_empty() {
            return Ok(());
        }
        let Some(given) = token_of(headers) else {
            return Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "token-required",
                "this server needs a token; send the header Authorization: Bearer TOKEN",
            ));
        };
        if self.tokens.contains(&given) {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "token-wrong",
            "the token is not one of this server; ask its operator for another one",
        ))
    }
}

/// The token of a request.
fn token_of(headers: &HeaderMap) -> Option<Vec<u8>> {
    if let Some(authorization) = headers.get(AUTHORIZATION) {
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        return is_bearer.then(|| token.trim().as_bytes().to_vec());
    }
    let encoded = protocols(headers).find_map(|name| name.strip_prefix(TOKEN_PROTOCOL))?;
    BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()
}

/// The protocols that a WebSocket client offers.
pub(super) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    fn access(address: &str, hosts: &[&str]) -> Access {
        let hosts = hosts.iter().map(|host| host.to_string()).collect();
        let origins = vec!["https://app.example".to_string()];
        let tokens = Tokens(vec![
            "first-token-123456".into(),
            "second-token-12345".into(),
        ]);
        Access::new(address.parse().unwrap(), tokens, origins, hosts)
    }

    #[test]
    fn a_loopback_server_accepts_only_the_names_of_this_machine() {
        let access = access("127.0.0.1", &["proxy.example"]);
        let accepts = |host: &str| {
            let headers = headers(&[("host", host)]);
            access.check_host(Version::HTTP_11, &headers).is_ok()
        };
        for host in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:1",
            "[::1]:8080",
            "[::1]",
            "proxy.example",
        ] {
            assert!(accepts(host), "{host}");
        }
        for host in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "::1",
            "localhost:x",
        ] {
            assert!(!accepts(host), "{host}");
        }
        let none = HeaderMap::new();
        assert!(access.check_host(Version::HTTP_10, &none).is_ok());
        assert!(access.check_host(Version::HTTP_11, &none).is_err());
        let mut two = headers(&[("host", "localhost")]);
        two.append(HOST, "localhost".parse().unwrap());
        assert!(access.check_host(Version::HTTP_10, &two).is_err());
    }

    #[test]
    fn a_public_server_accepts_every_name_unless_some_are_given() {
        let host = headers(&[("host", "anything.example")]);
        assert!(
            access("0.0.0.0", &[])
                .check_host(Version::HTTP_11, &host)
                .is_ok()
        );
        assert!(
            access("0.0.0.0", &["mine.example"])
                .check_host(Version::HTTP_11, &host)
                .is_err()
        );
    }

    #[test]
    fn only_pages_of_the_server_and_of_allowed_origins_are_accepted() {
        let access = access("127.0.0.1", &[]);
        let accepts = |origin: &str| {
            let headers = headers(&[("host", "localhost:8080"), ("origin", origin)]);
            access.check_origin(&headers).is_ok()
        };
        assert!(accepts("http://localhost:8080") && accepts("https://app.example"));
        for origin in [
            "http://localhost:8081",
            "http://evil.example",
            "null",
            "",
            "https://app.example.evil",
        ] {
            assert!(!accepts(origin), "{origin}");
        }
        assert!(
            access
                .check_origin(&headers(&[("host", "localhost:8080")]))
                .is_ok()
        );
    }

    #[test]
    fn a_token_comes_in_a_header_or_as_a_protocol() {
        let access = access("127.0.0.1", &[]);
        let status = |name: &'static str, value: &str| {
            let checked = access.check_token(&headers(&[(name, value)]));
            checked
                .err()
                .map(|failure| failure.object()["code"].as_str().unwrap().to_string())
        };
        assert_eq!(status("authorization", "Bearer second-token-12345"), None);
        assert_eq!(status("authorization", "bearer first-token-123456"), None);
        let encoded = BASE64_URL_SAFE_NO_PAD.encode("first-token-123456");
        let offered = format!("emovox.v1, emovox.token.{encoded}");
        assert_eq!(status("sec-websocket-protocol", &offered), None);
        for wrong in [
            "Bearer first-token-12345",
            "Bearer first-token-1234567",
            "Bearer ",
        ] {
            assert_eq!(
                status("authorization", wrong).unwrap(),
                "token-wrong",
                "{wrong}"
            );
        }
        for missing in ["Basic first-token-123456", "first-token-123456", ""] {
            assert_eq!(
                status("authorization", missing).unwrap(),
                "token-required",
                "{missing}"
            );
        }
    }

    #[test]
    fn a_token_file_has_one_token_a_line_and_its_errors_hide_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            Tokens::read(&file)
        };
        let tokens = read("# mine\n\n  0123456789abcdef\r\nfedcba9876543210==\n").unwrap();
        assert_eq!(tokens.0, ["0123456789abcdef", "fedcba9876543210=="]);
        for (text, words) in [
            ("", "has no token"),
            (
                "0123456789abcdef\nsecret\n",
                "line 2: a token has 16 to 512 characters, but this one has 6",
            ),
            (
                "my secret 0123456789\n",
                "line 1: a token has only the characters",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(words) && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
