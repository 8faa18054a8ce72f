//! An install that stays.

use super::{InstallError, Order, lock};
use crate::engine::Host;
use crate::fsutil::{FileError, Lock};

/// While this value is there nothing is taken away from the host: an uninstall says who has to go first.
#[derive(Debug)]
pub struct Stay(Lock);

impl Stay {
    /// Begins to stay; waits some seconds for another one to end.
    ///
    /// # Errors
    /// Another one stays, or berth is just being taken away.
    pub fn begin(order: &Order) -> Result<Self, InstallError> {
        let host = Host::new(&order.host_root)?;
        lock::take_staying(&host, "berth install --stay").map(Self)
    }

    /// Ends it, and takes nothing away but its own lock.
    ///
    /// # Errors
    /// The lock's file could not be removed; it has ended all the same.
    pub fn end(self) -> Result<(), FileError> {
        self.0.remove()
    }
}
