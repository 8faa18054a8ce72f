//! The tests by subject, and what several of them assert.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

mod check;
mod crun;
mod default_handler;
mod documented;
mod edited;
mod engine;
mod failure;
mod identity;
mod install;
mod interposed;
mod launched;
mod lifecycle;
mod listener;
mod made;
mod operate;
mod other_plugin;
mod plain;
mod podded;
mod reach;
mod recorded;
mod reload;
mod restart;
mod rivals;
mod wiretap;

use crate::rig::Rig;
use crate::rig::cri::Sandbox;
use crate::rig::holds::{
    assert_goes, assert_identity, assert_joined_pin, assert_nothing_left, assert_nothing_left_of,
    assert_path_untouched, await_pin,
};
use crate::rig::read::NetnsId;

/// The container is where it belongs: given the pin's path where the engine can do that, else left with its own.
#[track_caller]
fn assert_networked(rig: &Rig, pod: &Sandbox, container: &str) {
    if rig.can_swap() {
        assert_joined_pin(rig, pod, container);
    } else {
        assert_path_untouched(rig, pod, container);
        assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "something was made on an engine that could not use it");
    }
}

/// berth has handled the pod's start: its pin is there, or it has none because the engine could not use it.
#[track_caller]
fn await_settled(rig: &Rig, pod: &Sandbox) -> Option<NetnsId> {
    if rig.can_swap() {
        return Some(await_pin(rig, pod));
    }
    assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "something was made on an engine that could not use it");
    None
}
