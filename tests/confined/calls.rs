//! The table of system calls is what the daemon calls: no more, no less.

use std::collections::BTreeSet;
use std::path::Path;

use berth::apply::PinsBy;
use berth::confine::{self, Libc};

use crate::isolated;
use crate::life;
use crate::node::{Berth, block_on};
use crate::trace::{self, Trace};

/// Where the first daemon's calls are written, one at a time.
pub(crate) const TRACE: &str = "/run/trace";

/// What the binary that is watched was built with.
fn libc() -> Libc {
    match std::env::var("BERTH_LIBC").as_deref() {
        Ok("musl") => Libc::Musl,
        Ok("gnu") | Err(_) => Libc::Gnu,
        Ok(other) => panic!("BERTH_LIBC is {other}, and neither musl nor gnu"),
    }
}

fn names(calls: &[confine::Call]) -> BTreeSet<String> {
    calls.iter().map(|call| call.name().to_owned()).collect()
}

/// What was called is allowed, and what is allowed was called.
fn compare(traces: &[Trace], pins_by: PinsBy) {
    let allowed = names(&confine::allowed(libc(), pins_by));
    let refused: BTreeSet<_> = confine::REFUSED.iter().map(|name| (*name).to_owned()).collect();
    let rare = names(confine::RARE);
    let seen: BTreeSet<_> = traces.iter().flat_map(|trace| &trace.names).cloned().collect();
    let missing: Vec<_> = seen.difference(&allowed).filter(|name| !refused.contains(*name)).collect();
    let unused: Vec<_> = allowed.difference(&seen).filter(|name| !rare.contains(*name)).collect();
    let nothing: (Vec<&String>, Vec<&String>) = Default::default();
    assert_eq!((missing, unused), nothing, "called and not in the table; in the table and not called");
    // Of those in the table none was refused for its arguments.
    let on_purpose = |line: &String| {
        refused.iter().any(|name| line.contains(&format!("{name}(")) || line.contains(&format!("{name} resumed")))
    };
    let others: Vec<_> = traces.iter().flat_map(|trace| &trace.refused).filter(|line| !on_purpose(line)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

fn watched(args: &'static [&'static str]) -> impl FnOnce() -> Berth {
    move || Berth::start_under(&trace::before(TRACE), &[&["--config", "/run/config.yaml"], args].concat())
}

fn traces() -> Vec<Trace> {
    [TRACE, "/run/second.trace", "/run/launched.trace"].iter().map(|file| Trace::read(Path::new(file))).collect()
}

#[test]
fn a_daemon_that_makes_pins_calls_what_the_table_says() {
    trace::strace();
    isolated::run(concat!(module_path!(), "::a_daemon_that_makes_pins_calls_what_the_table_says"), || {
        block_on(life::with_pins(watched(&[])));
        compare(&traces(), PinsBy::Daemon);
    });
}

#[test]
fn a_daemon_that_makes_none_calls_what_the_table_says() {
    trace::strace();
    isolated::run(concat!(module_path!(), "::a_daemon_that_makes_none_calls_what_the_table_says"), || {
        block_on(life::without_pins(watched(&["--pins-by", "interposers"])));
        compare(&traces(), PinsBy::Interposers);
    });
}
