//! HTTP over TCP with a deadline for everything for which a client may keep the server waiting: the
//! head and the body of a request, the next request, and reading the response. The HTTP library has
//! deadlines only for the first head and for quiet connections. It would also read 128 KiB of every
//! connection ahead; here it gets a head when it is complete, and of a body 32 KiB more than the
//! application has read.

mod bare_answer;
mod body;
mod connection;
mod deadline;
mod framing;
mod handling;

use crate::{flows::Ctx, http::headers};
use actix_http::{HttpService, Request, Response};
use actix_server::ServerBuilder;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::{body::MessageBody, dev::AppConfig, rt::net::TcpStream};
use connection::{Connection, DISCONNECT_TIMEOUT};
use handling::RequestTracker;
use socket2::SockRef;
use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    time::Duration,
};

/// Time for a client to send the head of its first request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without a request after which a connection is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of responses that the system buffers for a client that does not read; the system uses
/// twice as many.
const SEND_BUFFER: usize = 128 * 1024;

/// Serves an application on a bound socket.
pub fn listen<F, I, S, B>(
    builder: ServerBuilder,
    listener: TcpListener,
    ctx: &Ctx,
    application: F,
) -> io::Result<ServerBuilder>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let address: SocketAddr = listener.local_addr()?;
    let stopping = builder.graceful_shutdown_signal();
    let ctx = ctx.clone();
    builder.listen(format!("http-{address}"), listener, move || {
        let (stopping, ctx) = (stopping.clone(), ctx.clone());
        let timeout = ctx.config.client_timeout;
        let factory = application()
            .into_factory()
            .map_err(|error| error.into().error_response());
        let factory = map_config(factory, |()| AppConfig::default());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT.min(timeout))
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .local_addr(address)
            .on_connect_ext(|connection: &Connection, data: &mut actix_http::Extensions| {
                data.insert(connection.handling());
            })
            .h1(apply_fn_factory(factory, |mut request: Request, service: &_| {
                let handling = request.conn_data::<RequestTracker>().cloned();
                if let Some(handling) = &handling {
                    body::count_body(&mut request, handling);
                }
                let mark = handling.as_ref().map(RequestTracker::begin);
                let answering = Service::call(service, request);
                async move {
                    let answer = answering.await;
                    drop(mark);
                    answer
                }
            }));
        let request_id: Rc<dyn Fn() -> String> = Rc::new(move || headers::request_id(&ctx));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            // Without this the system would buffer megabytes for each client that does not read.
            if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER) {
                tracing::debug!(%error, "the send buffer keeps its size");
            }
            let connection = Connection::new(stream, peer, timeout, request_id.clone());
            async move { Ok((connection, peer)) }
        })
        .and_then(http)
    })
}
