//! A `Synchronize` that comes in pieces. The runtime splits it when it does not fit in one ttrpc
//! message of 4 MiB (containerd/nri `pkg/adaptation/plugin.go`, since 0.7).

use protobuf::Message;

use crate::nri::api::{Container, PodSandbox, SynchronizeRequest};
use crate::nri::plugin::{Answer, Refusal, RefusalCode};
use crate::nri::stub::SyncLimit;

type Everything = (Vec<PodSandbox>, Vec<Container>);

/// Gathers the pieces of one session. Holds: never more than the limit.
#[derive(Debug)]
pub(super) struct Collector {
    limit: SyncLimit,
    pods: Vec<PodSandbox>,
    containers: Vec<Container>,
    bytes: u64,
}

impl Collector {
    pub(super) fn new(limit: SyncLimit) -> Self {
        Self { limit, pods: Vec::new(), containers: Vec::new(), bytes: 0 }
    }

    /// Adds a piece; the last one gives everything back and leaves the collector empty.
    ///
    /// # Errors
    ///
    /// A refusal if all pieces together are over the limit. They are dropped.
    pub(super) fn add(&mut self, piece: SynchronizeRequest) -> Answer<Option<Everything>> {
        self.bytes = self.bytes.saturating_add(piece.compute_size());
        let more = piece.more;
        self.pods.extend(piece.pods);
        self.containers.extend(piece.containers);
        let objects = self.pods.len() + self.containers.len();
        if objects > self.limit.objects || self.bytes > self.limit.bytes {
            let message = format!(
                "Synchronize: {objects} pods and containers in {} bytes, the limit is {} in {}",
                self.bytes, self.limit.objects, self.limit.bytes
            );
            *self = Self::new(self.limit);
            return Err(Refusal::new(RefusalCode::ResourceExhausted, message));
        }
        if more {
            return Ok(None);
        }
        let whole = std::mem::replace(self, Self::new(self.limit));
        Ok(Some((whole.pods, whole.containers)))
    }
}
