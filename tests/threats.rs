//! What `docs/security.md` says that somebody could try, tried on the real kernel: paths and links, and what is exchanged between
//! two looks. Forged identity, hostile peers and races have tests of their own; the document names them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows the log")]

#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "daemon/node.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod node;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;

#[path = "threats/bundles.rs"]
mod bundles;
#[path = "threats/delegates.rs"]
mod delegates;
#[path = "threats/exchanged.rs"]
mod exchanged;
#[path = "threats/ids.rs"]
mod ids;
#[path = "threats/local.rs"]
mod local;
#[path = "threats/places.rs"]
mod places;

#[test]
fn every_test_that_the_document_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named = text.split("[`").skip(1).filter_map(|rest| rest.split_once("`](../"));
    let named: Vec<_> = named.map(|(name, rest)| (name, rest.split(')').next().unwrap())).collect();
    assert!(named.len() > 30, "{named:?}");
    for (name, file) in named {
        let there = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(there.contains(&format!("fn {name}(")), "{file} has no {name}");
    }
}
