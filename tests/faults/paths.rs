//! The paths of which every call is disturbed.

use std::fs;
use std::process::Command;

use crate::alone;
use crate::scene::{
    NEW, admin, bundle, bundle_of, configure, create, engine_file, engine_lets_go, network, plain_bundle, pod, succeed,
};
use crate::sweep::{Path, Short, sweep};

/// Containers outside of every pod are given namespaces of berth's making.
const MADE: &str = "profiles: [{name: p, netns: create}]";

/// A pod that is pinned already, and is none of this.
pub(crate) fn beside_another_pod() {
    pod(0);
    succeed(create("k8s.io", "s0"));
}

fn pinned_beside_another_pod() {
    beside_another_pod();
    pod(1);
    succeed(create("k8s.io", "s1"));
}

/// The pod's sandbox is created, or created again.
fn create_sandbox() -> Command {
    create("k8s.io", "s1")
}

/// The engine gives the pod up.
fn engine_gives_up() {
    engine_lets_go(1);
    fs::remove_dir_all(bundle_of("s1")).unwrap();
}

const FIRST_PIN: Path = Path {
    name: "the first pin of a node",
    prepare: || {
        pod(0);
        pod(1);
    },
    call: create_sandbox,
    bundle: Some("s1"),
    over: None,
    done: &["mount /run/netns/berth-s1 ns1", "record berth-s1", r#""path":"/run/netns/berth-s1""#],
    short: Short { changes: 1, others: 16 },
    give_up: || {
        // The next call on the node, by which the engine can remove what was covered.
        succeed(create("k8s.io", "s0"));
        engine_gives_up();
    },
};

const PIN: Path = Path {
    name: "a pin beside others",
    prepare: || {
        beside_another_pod();
        pod(1);
    },
    give_up: engine_gives_up,
    ..FIRST_PIN
};

const MEMBER: Path = Path {
    name: "a member's config.json",
    prepare: || {
        pinned_beside_another_pod();
        bundle("c1", "container", "s1", &network(&engine_file(1)));
    },
    call: || create("k8s.io", "c1"),
    bundle: Some("c1"),
    short: Short { changes: 1, others: 30 },
    over: None,
    done: &[
        r#"specification /run/bundles/c1 {"ociVersion":"1.2.0","annotations":{"io.kubernetes.cri.container-type":"container""#,
    ],
    give_up: || {
        fs::remove_dir_all(bundle_of("c1")).unwrap();
        engine_gives_up();
    },
};

const CREATED: Path = Path {
    name: "a network namespace of berth's making",
    prepare: || {
        configure(MADE);
        plain_bundle("s0", "{}", NEW);
        succeed(create("default", "s0"));
        plain_bundle("s1", "{}", NEW);
    },
    call: || create("default", "s1"),
    short: Short { changes: 1, others: 30 },
    bundle: Some("s1"),
    over: None,
    done: &["mount /run/netns/berth-s1-", "record berth-s1-", r#""path":"/run/netns/berth-s1-"#],
    give_up: || fs::remove_dir_all(bundle_of("s1")).unwrap(),
};

const RELEASE: Path = Path {
    name: "a release by gc",
    prepare: || {
        pinned_beside_another_pod();
        engine_gives_up();
    },
    call: || admin(&["gc"]),
    short: Short { changes: 1, others: 30 },
    bundle: None,
    over: Some("s1"),
    done: &["record berth-s0"],
    give_up: || {},
};

const RELEASE_CREATED: Path = Path {
    name: "a release by gc of a network namespace of berth's making",
    prepare: || {
        (CREATED.prepare)();
        succeed((CREATED.call)());
        (CREATED.give_up)();
    },
    ..RELEASE
};

const RELEASE_IN_PASSING: Path = Path {
    name: "a release by the next creation",
    prepare: || {
        pinned_beside_another_pod();
        engine_gives_up();
        bundle("c0", "container", "s0", &network(&engine_file(0)));
    },
    call: || create("k8s.io", "c0"),
    bundle: Some("c0"),
    short: Short { changes: 1, others: 30 },
    over: Some("s1"),
    done: &["record berth-s0", r#""path":"/run/netns/berth-s0""#],
    give_up: || fs::remove_dir_all(bundle_of("c0")).unwrap(),
};

alone! {
    fn the_first_pin() {
        sweep(&FIRST_PIN);
    }
    fn a_pin() {
        sweep(&PIN);
    }
    fn a_member() {
        sweep(&MEMBER);
    }
    fn a_network_namespace_of_berths_making() {
        sweep(&CREATED);
    }
    fn a_release() {
        sweep(&RELEASE);
    }
    fn a_release_of_what_berth_made() {
        sweep(&RELEASE_CREATED);
    }
    fn a_release_in_passing() {
        sweep(&RELEASE_IN_PASSING);
    }
}
