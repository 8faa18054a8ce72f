//! Rules about the source itself, which the compiler does not check: who may import whom, where `unsafe` and system
//! calls may be, how long files may grow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first, as `docs/architecture.md` draws them. A module imports from lower layers, and from its
/// own layer only itself.
const LAYERS: &[&[&str]] = &[
    &["address", "identity", "dialect", "exit", "finding", "pin", "streams", "sys"],
    &["clock", "fsutil", "unix"],
    &["decide", "lifecycle"],
    &["metrics", "logging", "config"],
    &["engine", "http", "ledger", "netlink", "netns", "nri", "oci"],
    &["apply"],
    &["confine", "door"],
    &["check", "install"],
    &["cli", "admin", "daemon", "installer"],
    &["main", "lib"],
];

/// Imports that the table does not give, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The name of a pin is made of identity's words.
    ("pin", "identity"),
    // The table of keys is about identity's types.
    ("dialect", "identity"),
    // The commands take their output format from the command line.
    ("admin", "cli"),
];

/// What is pure: no clock, no file, no environment, no log.
const PURE: &[&str] = &["address", "identity", "dialect", "finding", "pin", "decide", "lifecycle"];

/// The pure halves of modules that are not.
const PURE_HALVES: &[&str] = &[
    "install/record.rs",
    "install/render.rs",
    "ledger/record.rs",
    "oci/scan.rs",
    "oci/edit.rs",
    "netlink/answer.rs",
    "netlink/network.rs",
];

/// Such a half that is a directory.
const PURE_DIRECTORY: &str = "engine/edit";

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let source = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().to_owned();
        let module = relative.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        (module, relative, fs::read_to_string(&path).unwrap())
    };
    let found: Vec<_> = files(&root).into_iter().map(source).collect();
    assert!(found.len() > 40, "the sources were found");
    found
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| ["tests", "tests.rs", "testing.rs"].contains(&part.as_os_str().to_str().unwrap()))
}

/// The code of a file without its own test module and without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let text = text.split("#[cfg(test)]\npub(crate) mod tests {").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| panic!("{module} is in no layer"))
}

/// The modules that a text names as `crate::x` or, in the binary, `berth::x`.
fn imports(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let starts = ["crate::", "berth::"];
    let mut found = BTreeSet::new();
    for start in starts {
        for (at, _) in text.match_indices(start) {
            let rest = &text[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(group) => {
                    let group = group.split(['}', ';']).next().unwrap();
                    found.extend(group.split(',').map(|part| word(part.trim())));
                }
                None => drop(found.insert(word(rest)).then_some(0)),
            }
        }
    }
    found.retain(|module| !module.is_empty() && module.chars().next().unwrap().is_ascii_lowercase());
    found
}

#[test]
fn imports_point_down_only() {
    for (module, path, text) in sources().iter().filter(|(_, path, _)| !is_test(path)) {
        for import in imports(&code(text)) {
            let allowed = import == *module
                || layer(&import) < layer(module)
                || EXCEPTIONS.contains(&(module.as_str(), import.as_str()));
            assert!(allowed, "{} ({module}) imports {import}", path.display());
        }
    }
}

#[test]
fn the_nri_stub_netlink_and_the_pins_know_nothing_of_berth() {
    for (module, path, text) in sources().iter().filter(|(_, path, _)| !is_test(path)) {
        let imports = imports(&code(text));
        match module.as_str() {
            alone @ ("nri" | "netlink") => {
                assert!(imports.is_subset(&[alone.to_owned()].into()), "{}: {imports:?}", path.display());
            }
            "netns" => {
                let known = ["netns", "pin", "sys"].map(str::to_owned);
                assert!(imports.is_subset(&known.into()), "{}: {imports:?}", path.display());
            }
            _ => {}
        }
    }
}

/// Cargo.toml denies `unsafe` in every target of the package; a file can have it only by naming that lint.
#[test]
fn unsafe_code_is_in_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(fs::read_to_string(root.join("Cargo.toml")).unwrap().contains("\nunsafe_code = \"deny\""));
    let files = ["src", "tests", "benches"].iter().flat_map(|dir| files(&root.join(dir)));
    let mut naming: Vec<_> = files
        .chain([root.join("build.rs")])
        .filter(|path| fs::read_to_string(path).unwrap().contains("unsafe_code"))
        .map(|path| path.strip_prefix(root).unwrap().to_owned())
        .collect();
    naming.sort();
    // What berth is measured against is bare on purpose.
    assert_eq!(naming, ["benches/pins.rs", "src/sys.rs", "tests/architecture.rs"].map(PathBuf::from));
}

/// Files of Rust in a directory and those below it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut pending = vec![dir.to_owned()];
    let mut found = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn pure_modules_touch_nothing() {
    let touching =
        ["std::fs", "std::env", "std::time::Instant", "SystemTime", "log::", "tokio", "nix::", "std::process"];
    for (module, path, text) in sources().iter().filter(|(_, path, _)| !is_test(path)) {
        let pure = PURE.contains(&module.as_str()) || PURE_HALVES.iter().any(|half| path.ends_with(half));
        let pure = pure || path.starts_with(PURE_DIRECTORY);
        for word in touching.iter().filter(|_| pure) {
            assert!(!code(text).contains(word), "{} is pure and names {word}", path.display());
        }
    }
}

#[test]
fn files_stay_short_enough_to_find_a_place_in() {
    for (_, path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_counter_is_moved_and_every_reason_is_given_somewhere() {
    let sources = sources();
    let used = |word: &str, home: &str| {
        sources.iter().any(|(_, path, text)| !is_test(path) && !path.ends_with(home) && code(text).contains(word))
    };
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics/table.rs")).unwrap();
    let families: Vec<_> = table
        .lines()
        .filter_map(|line| line.trim().split_once(" = ").filter(|(_, rest)| rest.contains(" by ")))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    assert_eq!(families.len(), berth::metrics::FAMILIES.len());
    for family in families.iter().filter(|family| **family != "DURATIONS") {
        let moved = ["count", "add", "set"].iter().any(|how| used(&format!("{family}.{how}("), "table.rs"));
        assert!(moved || used(&format!("table::{family}.count("), "table.rs"), "{family} is never moved");
    }
    for reason in berth::decide::verdict::Reason::ALL {
        assert!(used(&format!("Reason::{reason:?}"), "tests.rs"), "{reason:?} is never given");
    }
}
