//! What must be asked about the system under test: who leads it.

use std::future::Future;
use std::pin::Pin;

/// Who plays which role in the system under test.
pub trait Roles: Sync {
    /// The name of the node that leads now, if one is known to. May be slow: it is given a limit.
    fn leader(&self) -> impl Future<Output = Option<String>> + Send;
}

/// [`Roles`] of any type.
pub(crate) trait AnyRoles: Sync {
    /// The name of the node that leads now, if one is known to.
    fn leader(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>>;
}

impl<R: Roles> AnyRoles for R {
    fn leader(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(Roles::leader(self))
    }
}
