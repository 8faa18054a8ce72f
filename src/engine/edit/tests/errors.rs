//! What stands in the way, and what is said of it.

use super::super::{By, EditError, Input, Wrap};
use super::{changes, containerd_1, containerd_2, dump_1, kata, runc, snapshot};

/// Why nothing is planned.
fn refusal(input: &Input, wraps: &[Wrap]) -> String {
    changes(input, wraps).unwrap_err().to_string()
}

fn wrap(handler: &str, new: &str) -> Wrap {
    Wrap { handler: handler.to_owned(), new: new.to_owned(), ..kata() }
}

#[test]
fn a_file_that_does_not_parse_is_named_with_the_line_and_nothing_is_planned() {
    let broken = "version = 3\n[plugins\n";
    for input in [containerd_2(Some(broken)), containerd_1(Some(broken))] {
        for wraps in [&[kata()][..], &[]] {
            let said = refusal(&input, wraps);
            assert!(said.starts_with("/etc/containerd/config.toml: line 2, column "), "{said}");
        }
    }
    let mut input = containerd_2(Some("version = 3\n"));
    input.others = vec![snapshot("/etc/containerd/x/a.toml", Some("a =\n"))];
    assert!(refusal(&input, &[kata()]).starts_with("/etc/containerd/x/a.toml: line 1"));
    input.others.clear();
    input.dump = "=".to_owned();
    assert!(matches!(changes(&input, &[kata()]), Err(EditError::Dump { line: 1, .. })));
}

#[test]
fn handlers_that_there_are_not_are_told_with_those_that_there_are() {
    let said = refusal(&containerd_2(None), &[wrap("gvisor", "gvisor-berth")]);
    assert_eq!(said, "there is no runtime handler \"gvisor\"; there is kata, runc");
}

#[test]
fn names_are_what_a_runtime_class_takes() {
    let long = "x".repeat(64);
    for name in ["", "Kata", "kata_berth", "-kata", "kata-", "kata.berth", "kata berth", "ü", "a]\n[b", &long] {
        let said = changes(&containerd_2(None), &[wrap("kata", name)]).unwrap_err();
        assert!(matches!(said, EditError::BadName { .. }), "{name:?}: {said}");
    }
    for name in ["k", "0", "kata-qemu-berth", &long[..63]] {
        assert!(changes(&containerd_2(None), &[wrap("kata", name)]).is_ok(), "{name:?}");
    }
    let twice = changes(&containerd_2(None), &[kata(), kata()]);
    assert!(matches!(twice, Err(EditError::Twice { .. })), "{twice:?}");
}

#[test]
fn a_name_that_another_handler_has_is_not_taken() {
    let said = refusal(&containerd_2(None), &[wrap("kata", "runc")]);
    assert!(said.contains("there is a runtime handler \"runc\" already"), "{said}");
    // Whichever version the file is of.
    for section in ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"] {
        let mut input = containerd_2(Some("version = 3\n"));
        let text = format!("[plugins.'{section}'.containerd.runtimes.kata-berth]\n");
        input.others = vec![snapshot("/etc/containerd/conf.d/99-x.toml", Some(&text))];
        assert!(refusal(&input, &[kata()]).contains("(/etc/containerd/conf.d/99-x.toml)"));
    }
}

#[test]
fn berth_does_not_stand_before_itself() {
    let dump = super::DUMP_2;
    for (from, to) in [
        ("/opt/kata/bin/containerd-shim-kata-v2", "/x/containerd-shim-berth-kata-v2"),
        ("/opt/kata/bin/containerd-shim-kata-v2", "/usr/local/bin/berth"),
        ("ConfigPath = '/etc/kata.toml'", "BinaryName = 'berth-runc'"),
    ] {
        let input = Input { dump: dump.replace(from, to), ..containerd_2(None) };
        assert!(matches!(changes(&input, &[kata()]), Err(EditError::Loop { .. })), "{to}");
    }
    // Nor before a handler of its own, whatever that runs.
    let input = containerd_2(Some("version = 3\n"));
    let mut with = super::applied(&input, &changes(&input, &[kata()]).unwrap());
    with.dump = dump.replace("runtimes.runc", "runtimes.kata-berth");
    let again = changes(&with, &[wrap("kata-berth", "kata-berth-berth")]);
    assert!(matches!(again, Err(EditError::Loop { .. })), "{again:?}");
}

#[test]
fn an_oci_runtime_is_wrapped_where_a_shim_runs_one() {
    let by = By::BinaryName("/usr/local/bin/berth-kata".into());
    let said = refusal(&containerd_2(None), &[Wrap { by, ..kata() }]);
    assert!(said.contains("runtime_type \"io.containerd.kata.v2\""), "{said}");
    for (version, deaf) in [((1, 6, 20), true), ((1, 6, 21), false), ((1, 7, 0), true), ((1, 7, 1), false)] {
        let input = Input { version, ..containerd_1(None) };
        assert_eq!(matches!(changes(&input, &[kata()]), Err(EditError::TooOld { .. })), deaf, "{version:?}");
        assert!(changes(&input, &[runc()]).is_ok(), "{version:?}");
    }
}

#[test]
fn words_of_version_1_are_refused_with_the_line_to_change() {
    let said = refusal(&containerd_1(Some("# mine\nroot = '/x'\n")), &[kata()]);
    assert!(
        said.starts_with("/etc/containerd/config.toml: line 1: without a version") && said.contains("`version = 2`")
    );
    for input in [containerd_1(Some("root = '/x'\nversion = 1\n")), containerd_2(Some("root = '/x'\nversion = 1\n"))] {
        let said = refusal(&input, &[kata()]);
        assert!(said.starts_with("/etc/containerd/config.toml: line 2: version = 1 is read"), "{said}");
        assert!(said.contains("config migrate"), "{said}");
    }
}

#[test]
fn imports_of_another_type_are_refused() {
    for imports in ["'x'", "{}", "3", "[3]", "['a', []]"] {
        let root = format!("version = 3\nimports = {imports}\n");
        for wraps in [&[kata()][..], &[]] {
            let said = refusal(&containerd_2(Some(&root)), wraps);
            assert_eq!(said, "/etc/containerd/config.toml: line 2: imports is not an array of strings");
        }
    }
}

#[test]
fn a_file_of_somebody_else_in_the_place_of_berths_is_left() {
    let mut input = containerd_2(None);
    input.dropin.text = Some("# mine\n".to_owned());
    assert!(matches!(changes(&input, &[kata()]), Err(EditError::Foreign { .. })));
}

#[test]
fn a_begin_without_an_end_is_refused() {
    let input = containerd_1(Some("version = 2\n# berth: begin\n[debug]\n"));
    for wraps in [&[kata()][..], &[]] {
        let said = refusal(&input, wraps);
        assert!(said.starts_with("/etc/containerd/config.toml: line 2: the end"), "{said}");
    }
}

#[test]
fn a_section_that_another_file_replaces_is_not_edited() {
    let mut input = containerd_1(Some("version = 2\nimports = ['x/*.toml']\n"));
    let text = "[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'x'\n";
    input.others = vec![snapshot("/etc/containerd/x/cri.toml", Some(text))];
    let said = refusal(&input, &[kata()]);
    assert!(said.starts_with("/etc/containerd/x/cri.toml: replaces the section"), "{said}");
}

#[test]
fn a_containerd_without_a_cri_is_left() {
    for plugin in ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"] {
        let off = format!("disabled_plugins = ['{plugin}']");
        let dump = super::DUMP_2.replace("disabled_plugins = []", &off);
        let said = refusal(&Input { dump, ..containerd_2(None) }, &[kata()]);
        assert!(said.starts_with(&format!("disabled_plugins has {plugin:?}")), "{said}");
    }
}

#[test]
fn a_table_that_is_written_inline_takes_no_other() {
    for table in [
        "plugins = { 'io.containerd.grpc.v1.cri' = { containerd = { runtimes = {} } } }\n",
        "[plugins.'io.containerd.grpc.v1.cri'.containerd]\nruntimes = {}\n",
        "[plugins]\n'io.containerd.grpc.v1.cri' = { containerd = {} }\n",
        "[[plugins]]\n",
    ] {
        let input = containerd_1(Some(&format!("version = 2\n{table}")));
        let refused = changes(&input, &[kata()]).unwrap_err();
        assert!(matches!(refused, EditError::NoRoom { .. }), "{table}: {refused}");
    }
    assert!(dump_1().starts_with("version = 2"));
}
