//! The body of a request on its way to the application: it counts what the application has read, so
//! that a connection does not read further ahead.

use super::handling::RequestTracker;
use actix_http::{Payload, Request, error::PayloadError};
use actix_web::web::Bytes;
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A body whose reading is counted.
struct CountedBody {
    body: Payload,
    handling: RequestTracker,
}

/// Counts what the application reads of the request's body.
pub fn count_body(request: &mut Request, handling: &RequestTracker) {
    if matches!(request.payload(), Payload::None) {
        return;
    }
    let body = request.take_payload();
    let counted = CountedBody {
        body,
        handling: handling.clone(),
    };
    *request.payload() = Payload::Stream {
        payload: Box::pin(counted),
    };
}

impl Stream for CountedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.body).poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => self.handling.note_read(bytes.len()),
            Poll::Pending => self.handling.note_all_read(),
            Poll::Ready(Some(Err(_)) | None) => {}
        }
        next
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.handling.discard_body();
    }
}
