//! CRI-O.

use super::super::{By, EditError, Input, Wrap, changes, crio::dump};
use super::{Change, applied, snapshot};
use crate::engine::Kind;

/// What CRI-O itself prints of an installation without files.
const PRINTED: &str = include_str!("../../golden/crio-1.36.3-config.toml");

const KATA: &str = r#"[crio.runtime.runtimes.kata]
runtime_path = "/opt/containerd-shim-kata-v2"
runtime_type = "vm"
runtime_root = "/run/vc"
privileged_without_host_devices = true
seccomp_profile = "/x"
"#;

fn crio(root: Option<&str>) -> Input {
    Input {
        kind: Kind::CriO,
        version: (1, 36, 3),
        root: snapshot("/etc/crio/crio.conf", root),
        others: Vec::new(),
        dropin: snapshot("/etc/crio/crio.conf.d/50-berth.conf", None),
        dump: PRINTED.to_owned(),
    }
}

fn wrap(handler: &str, by: By) -> Wrap {
    Wrap { handler: handler.to_owned(), new: format!("{handler}-new"), by }
}

fn shim() -> By {
    By::ShimPath("/usr/local/bin/containerd-shim-berth-kata-v2".into())
}

fn binary() -> By {
    By::BinaryName("/usr/local/bin/berth-crun".into())
}

#[test]
fn a_handler_has_all_settings_of_the_one_it_stands_beside() {
    let input = crio(Some(KATA));
    let added = changes(&input, &[wrap("kata", shim())]).unwrap();
    insta::assert_snapshot!(added.iter().map(Change::diff).collect::<String>());
    let with = applied(&input, &added);
    assert!(changes(&with, &[wrap("kata", shim())]).unwrap().iter().all(|change| !change.is_needed()));
    assert_eq!(applied(&with, &changes(&with, &[]).unwrap()).dropin, input.dropin);
}

#[test]
fn of_what_is_built_in_the_comments_are_read() {
    let dump = dump(PRINTED).unwrap();
    let default = dump.at(&["crio", "runtime", "default_runtime"]).unwrap().text().unwrap();
    let handlers = dump.table(&["crio", "runtime", "runtimes"]).unwrap();
    assert!(handlers.contains_key(default) && !handlers.contains_key("runtime-handler"), "{default}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let unfit = |text: &str, wrap: Wrap| changes(&crio(Some(text)), &[wrap]).unwrap_err();
    let platform = format!("{KATA}platform_runtime_paths = {{}}\n");
    let wrong = By::ShimPath("/usr/local/bin/shim".into());
    for (text, wrap) in [
        (KATA, wrap("kata", binary())),
        (KATA, wrap("kata", wrong)),
        (&platform, wrap("kata", shim())),
        ("[crio.runtime.runtimes.crun]\n", wrap("crun", shim())),
    ] {
        let said = unfit(text, wrap);
        assert!(matches!(said, EditError::Unfit { .. }), "{said}");
    }
    let said = unfit(&KATA.replace("containerd-shim-kata-v2", "containerd-shim-berth-x-v2"), wrap("kata", shim()));
    assert!(matches!(said, EditError::Loop { .. }), "{said}");
    let said = unfit(KATA, wrap("gvisor", shim()));
    assert!(said.to_string().contains("there is "), "{said}");
    let broken = unfit("[crio\n", wrap("kata", shim()));
    assert!(broken.to_string().starts_with("/etc/crio/crio.conf: line 1"), "{broken}");
    let mut input = crio(Some(KATA));
    input.others = vec![snapshot("/etc/crio/crio.conf.d/99", Some("[crio.runtime.runtimes.kata-new]\n"))];
    let taken = changes(&input, &[wrap("kata", shim())]).unwrap_err();
    assert!(taken.to_string().contains("(/etc/crio/crio.conf.d/99)"), "{taken}");
}

#[test]
fn a_file_that_is_not_berths_stays() {
    let mut input = crio(Some(KATA));
    input.dropin.text = Some("# mine\n".to_owned());
    assert!(matches!(changes(&input, &[wrap("kata", shim())]), Err(EditError::Foreign { .. })));
    assert!(changes(&input, &[]).unwrap().iter().all(|change| !change.is_needed()));
}
