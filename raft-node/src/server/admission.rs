//! Bounds what all clients together may have under way, and makes them wait when it is too much.
//!
//! A client that must wait is not read from, so that the network holds it back in turn: nothing is
//! refused, and nothing grows. Two bounds: requests under way, by number and size, each from its
//! submission to its outcome; and long requests that are still arriving, whose connections keep
//! more than the usual buffer meanwhile. Places are given in the order of asking.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one unit of the requests' bound stands for, in bytes of keys and values.
const UNIT_BYTES: usize = 4 << 10;
/// Units for requests under way: 8192 small ones, or 32 MiB of large ones. No more than the core
/// takes without a refusal.
const UNITS: usize = 8192;
/// Long requests that may be arriving at once, up to 4 MiB each.
const LONG_REQUESTS: usize = 32;

/// The bounds.
#[derive(Debug)]
pub(super) struct Admission {
    requests: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

/// A place within a bound; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new() -> Self {
        let (requests, long) = (Semaphore::new(UNITS), Semaphore::new(LONG_REQUESTS));
        Self { requests: Arc::new(requests), long: Arc::new(long) }
    }

    /// Waits until a request of this many bytes may be under way.
    pub(super) async fn request(&self, bytes: usize) -> Place {
        let units = u32::try_from(1 + bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        enter(&self.requests, units).await
    }

    /// Waits until another long request may arrive.
    pub(super) async fn long_request(&self) -> Place {
        enter(&self.long, 1).await
    }
}

async fn enter(semaphore: &Arc<Semaphore>, units: u32) -> Place {
    let permit = Arc::clone(semaphore).acquire_many_owned(units).await;
    Place { _permit: permit.expect("the bounds are never closed") }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn large_requests_take_more_of_the_bound_than_small_ones() {
        let admission = Admission::new();
        let large: Vec<_> =
            (0..31).map(|_| at_once(admission.request(1 << 20)).expect("room")).collect();
        assert!(at_once(admission.request(1 << 20)).is_none(), "31 of 257 units are taken");
        assert!(at_once(admission.request(0)).is_some());
        drop(large);
        assert!(at_once(admission.request(1 << 20)).is_some());
    }

    #[test]
    fn long_requests_wait_for_one_another() {
        let admission = Admission::new();
        let all: Vec<_> =
            (0..LONG_REQUESTS).map(|_| at_once(admission.long_request()).expect("room")).collect();
        assert!(at_once(admission.long_request()).is_none());
        drop(all);
        assert!(at_once(admission.long_request()).is_some());
    }
}
