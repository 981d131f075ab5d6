//! The page for browsers. Its files are part of the program, and load nothing from elsewhere.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Path, type and content of each file.
const FILES: [(&str, &str, &str); 12] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    ("/serve.css", "text/css", include_str!("page/serve.css")),
    (
        "/favicon.svg",
        "image/svg+xml",
        include_str!("page/favicon.svg"),
    ),
    ("/api.js", JAVASCRIPT, include_str!("page/api.js")),
    ("/card.js", JAVASCRIPT, include_str!("page/card.js")),
    ("/chart.js", JAVASCRIPT, include_str!("page/chart.js")),
    ("/dom.js", JAVASCRIPT, include_str!("page/dom.js")),
    ("/live.js", JAVASCRIPT, include_str!("page/live.js")),
    (
        "/microphone.js",
        JAVASCRIPT,
        include_str!("page/microphone.js"),
    ),
    ("/result.js", JAVASCRIPT, include_str!("page/result.js")),
    ("/serve.js", JAVASCRIPT, include_str!("page/serve.js")),
    (
        "/serve-recorder.js",
        JAVASCRIPT,
        include_str!("page/serve-recorder.js"),
    ),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The policy of the page: it may load its own files, and play recordings that the user gave it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      media-src blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Adds the files of the page to the routes.
pub(super) fn add_to<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    FILES.iter().fold(router, |router, &(path, kind, content)| {
        router.route(path, get(move || async move { response(kind, content) }))
    })
}

fn response(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
        (PERMISSIONS_POLICY, "microphone=(self)"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_loads_nothing_from_elsewhere() {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("src/serve/page").unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            found.push(if name == "index.html" {
                "/".into()
            } else {
                format!("/{name}")
            });
        }
        found.sort();
        let mut served = FILES.map(|(path, _, _)| path.to_string());
        served.sort();
        assert_eq!(found, served);
        for (path, _, content) in FILES {
            // Names of XML, which nothing loads.
            let content = content.replace("http://www.w3.org/", "");
            let mut behind_schemes = content.split("://").skip(1);
            assert!(
                behind_schemes.all(|rest| !rest.starts_with(char::is_alphanumeric)),
                "{path} has an address"
            );
            for forbidden in ["@import", " style=\"", "<script>"] {
                assert!(!content.contains(forbidden), "{path} contains {forbidden}");
            }
        }
    }
}
