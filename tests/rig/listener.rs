//! Asking berth in a rig for its pages.

use std::collections::BTreeMap;
use std::time::Duration;

use ::berth::address::Address;
use ::berth::http::{Reply, ask};

use super::Rig;
use super::wait::eventually;

/// Where it is to listen.
pub(crate) const LISTEN: &str = "unix:/run/berth-http.sock";

impl Rig {
    /// A page, if berth listens.
    pub(crate) fn page(&self, path: &str) -> Option<Reply> {
        let socket = LISTEN.strip_prefix("unix:").expect("a socket file");
        ask(&Address::Unix(self.path(socket)), path, Duration::from_secs(10)).ok()
    }

    /// Waits until /readyz answers with this status; what it says, on one line.
    #[track_caller]
    pub(crate) fn await_ready(&self, status: u16) -> String {
        let asked = || self.page("/readyz").filter(|reply| reply.status == status);
        let body = eventually(&format!("/readyz answers {status}"), asked).body;
        body.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The metrics, by name with labels.
    #[track_caller]
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let reply = self.page("/metrics").expect("berth listens");
        let samples = reply.body.lines().filter(|line| !line.starts_with('#'));
        let parse = |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
        samples.map(|line| parse(line).expect("a sample")).collect()
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub(crate) fn await_metric(&self, name: &str, value: f64) {
        eventually(&format!("{name} is {value}"), || (self.metrics().get(name) == Some(&value)).then_some(()));
    }
}
