//! Which runtime to be.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

/// How events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// containerd up to 2.2, CRI-O up to 1.36.
    StateChange,
    /// containerd 2.3 on; falls back to the other for good on UNIMPLEMENTED.
    Dedicated,
}

/// Which runtime to be.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) generation: Generation,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) nri_version: &'static str,
    pub(crate) valid_events: i32,
    pub(crate) request_timeout: Duration,
    pub(crate) config: &'static str,
    /// Answer RegisterPlugin only when the test says so.
    pub(crate) hold_registration: bool,
}

impl Profile {
    pub(crate) fn containerd_1_7() -> Self {
        Self {
            generation: Generation::StateChange,
            name: "containerd",
            version: "1.7.28",
            nri_version: "",
            valid_events: 0x7ff,
            request_timeout: Duration::from_secs(2),
            config: "",
            hold_registration: false,
        }
    }

    pub(crate) fn containerd_2_2() -> Self {
        Self { version: "v2.2.1", valid_events: 0x3fff, ..Self::containerd_1_7() }
    }

    pub(crate) fn containerd_2_3() -> Self {
        Self { generation: Generation::Dedicated, version: "v2.3.4", nri_version: "v0.12.2", ..Self::containerd_2_2() }
    }

    pub(crate) fn crio_1_36() -> Self {
        Self { name: "cri-o", version: "1.36.3", ..Self::containerd_2_2() }
    }
}
