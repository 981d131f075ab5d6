//! The routes, and the checks before each of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;

use super::{App, Failure, Phase, json, page, predict, stream};

/// Description of the routes for other programs.
const OPENAPI: &str = include_str!("openapi.json");

/// Largest number of characters of a method or a path in the log.
const LOGGED: usize = 80;

/// The routes of a server, with the checks before them.
pub(super) fn router(app: Arc<App>) -> Router {
    let origins: Vec<HeaderValue> = app
        .access
        .origins
        .iter()
        .filter_map(|origin| origin.parse().ok())
        .collect();
    let router = Router::new()
        .route("/healthz", get(async || json(r#"{"status":"ok"}"#)))
        .route("/readyz", get(async || json(r#"{"status":"ready"}"#)))
        .route("/openapi.json", get(async || json(OPENAPI)))
        .route("/metrics", get(metrics))
        .route("/v1/model", get(model))
        .route("/v1/predict", post(predict::predict))
        .route("/v1/predict/batch", post(predict::batch))
        .route("/v1/stream", get(stream::stream));
    let router = page::add_to(router)
        .fallback(async || {
            Failure::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "there is nothing at this path; /openapi.json lists all paths",
            )
        })
        .method_not_allowed_fallback(async || {
            Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong-method",
                "this path has another method; /openapi.json lists the methods of all paths",
            )
        })
        .with_state(app.clone())
        .layer(from_fn_with_state(app, checked))
        .layer(CompressionLayer::new());
    if origins.is_empty() {
        return router;
    }
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER]);
    router.layer(cors)
}

/// Checks a request, passes it on, then counts and logs the answer.
async fn checked(
    State(app): State<Arc<App>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other".to_string(), |path| path.as_str().into());
    let mut counted = Counted {
        line: format!(
            "{client} {} {}",
            shown(request.method().as_str()),
            shown(request.uri().path())
        ),
        status: CLIENT_LEFT,
        began: Instant::now(),
        route,
        _running: Running::new(&app.running),
        app: app.clone(),
    };
    let mut response = match check(&app, &counted.route, &request) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    counted.status = response.status().as_u16();
    response
}

fn check(app: &App, route: &str, request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    // A program that observes the server may know it only by its number.
    if !["/healthz", "/readyz"].contains(&route) {
        app.access.check_host(request.version(), headers)?;
    }
    let observes = ["/healthz", "/metrics"].contains(&route);
    if !observes && *app.phase.borrow() != Phase::Running {
        return Err(Failure::shutting_down());
    }
    if route.starts_with("/v1/") || route == "/metrics" {
        app.access.check_origin(headers)?;
        app.access.check_token(headers)?;
    }
    Ok(())
}

/// The status in log and metrics of a request whose client left before the answer.
const CLIENT_LEFT: u16 = 499;

/// A request that is counted and logged at its end, also if its client leaves.
struct Counted {
    app: Arc<App>,
    route: String,
    line: String,
    status: u16,
    began: Instant,
    _running: Running,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.app
            .metrics
            .add_request(&self.route, self.status, duration);
        if self.app.logs_requests {
            let milliseconds = 1000.0 * duration.as_secs_f64();
            (self.app.log)(&format!(
                "{} {} {milliseconds:.1} ms",
                self.line, self.status
            ));
        }
    }
}

/// One of the running requests.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Running {
        count.fetch_add(1, Ordering::SeqCst);
        Running(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A text of the client for the log, where a long one is cut.
fn shown(text: &str) -> String {
    text.chars().take(LOGGED).collect()
}

async fn model(State(app): State<Arc<App>>) -> Response {
    json(app.card.to_string())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app
        .metrics
        .text(app.predictor.trained().name(), &app.gauges());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_lists_exactly_the_routes() {
        let source = include_str!("router.rs");
        let routes = source.split(".route(\"").skip(1);
        let mut expected: BTreeSet<(String, String)> = routes
            .filter_map(|route| {
                let (path, rest) = route.split_once("\", ")?;
                let (method, _) = rest.split_once('(')?;
                Some((path.to_string(), method.to_string()))
            })
            .filter(|(path, _)| path.starts_with('/'))
            .collect();
        assert!(expected.len() >= 8);
        expected.insert(("/".into(), "get".into()));
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert((path.clone(), method.clone()));
            }
        }
        assert_eq!(described, expected);
    }
}
