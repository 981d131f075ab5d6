//! Connections: accepted up to a limit, and closed when the server ends.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use super::limits::HEADER;
use super::router::router;
use super::timed::TimedConnection;
use super::{App, Phase};

/// Time for connections to end after the last request has its answer.
pub(super) const CLOSING: Duration = Duration::from_secs(3);
/// Pause after a failure of the system to accept a connection, for example without free file
/// descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections. Above their limit, further ones wait in the queue of the system.
pub(super) async fn accept(listener: TcpListener, app: Arc<App>) {
    let router = router(app.clone());
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let Ok(permit) = app.connections.clone().acquire_owned().await else {
            return;
        };
        tokio::spawn(serve(stream, client, router.clone(), app.clone(), permit));
    }
}

/// Serves the requests of a connection, which holds a permit.
async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    router: Router,
    app: Arc<App>,
    _permit: OwnedSemaphorePermit,
) {
    // Answers are small, and a stream needs its events at once. Without this option they are late.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(TimedConnection::new(stream, app.limits.timeout));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.limits.timeout)
        .max_buf_size(HEADER)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut phase = app.phase.subscribe();
    tokio::select! {
        // An error is that of the client, which gets no further answer.
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
    }
    // An idle connection ends now, others after the rest of their answer.
    connection.as_mut().graceful_shutdown();
    let _ = timeout(CLOSING / 2, connection).await;
}
