//! containerd before 2.0.

use super::{Change, applied, changes, containerd_1, dump_1, kata, root_with, runc, there_and_back};

const RUNC: &str = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes]\nrunc = {}\nkata = {}\n";

#[test]
fn handlers_stand_between_two_lines_at_the_end() {
    let input =
        containerd_1(Some("version = 2 # two\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.kata]\n"));
    there_and_back(&input, &[kata(), runc()]);
    let diff: String = changes(&input, &[kata()]).unwrap().iter().map(Change::diff).collect();
    insta::assert_snapshot!(diff);
}

#[test]
fn a_file_of_every_kind_comes_back() {
    for root in [
        None,
        Some(""),
        Some("# nothing\n"),
        Some("# nothing"),
        Some("\n\n"),
        Some("version = 2"),
        Some("version = 2\r\n[debug]\r\nlevel = 'info'\r\n"),
        Some("version = 2\n[plugins]\n"),
        Some("version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]\nruntime_type = 'x'"),
    ] {
        let with = there_and_back(&containerd_1(root), &[kata()]);
        let text = with.root.text.unwrap();
        assert!(!text.contains("\r\n") || !text.replace("\r\n", "").contains('\n'), "{text}");
    }
}

#[test]
fn the_version_is_said_where_nothing_else_is() {
    for root in [None, Some(""), Some("# nothing\n")] {
        assert_eq!(root_with(&containerd_1(root), &[kata()]).matches("\nversion = 2\n").count(), 1, "{root:?}");
    }
    // What others write below it is in its words, so it stays for them.
    let input = containerd_1(Some("# nothing\n"));
    let mut with = applied(&input, &changes(&input, &[kata()]).unwrap());
    with.root.text.as_mut().unwrap().push_str("[debug]\nlevel = 'info'\n");
    assert!(changes(&with, &[kata()]).unwrap().iter().all(|change| !change.is_needed()));
    let without = applied(&with, &changes(&with, &[]).unwrap());
    assert_eq!(without.root.text.as_deref(), Some("version = 2\n# nothing\n[debug]\nlevel = 'info'\n"));
    // In a file that berth has made it stands outside of the two lines.
    let input = containerd_1(None);
    let mut with = applied(&input, &changes(&input, &[kata()]).unwrap());
    with.root.text.as_mut().unwrap().push_str("[debug]\n");
    let without = applied(&with, &changes(&with, &[]).unwrap());
    assert_eq!(without.root.text.as_deref(), Some("version = 2\n[debug]\n"));
}

#[test]
fn handlers_that_hold_undeclared_are_declared_beside_berths() {
    let text = root_with(&containerd_1(Some("version = 2\n")), &[runc()]);
    for name in ["runc", "kata", "runc-berth"] {
        assert_eq!(text.matches(&format!("containerd.runtimes.{name}]\n")).count(), 1, "{text}");
    }
    let input = containerd_1(Some(RUNC));
    let no_room = changes(&input, &[runc()]);
    assert!(no_room.is_ok(), "{no_room:?}");
    assert!(!root_with(&input, &[runc()]).contains("containerd.runtimes.runc]"));
    // They are not berth's: one may be wrapped the next time as well.
    let with = applied(&containerd_1(None), &changes(&containerd_1(None), &[runc()]).unwrap());
    assert_eq!(super::super::owned(&with).unwrap(), ["runc-berth"]);
    assert!(changes(&with, &[kata(), runc()]).is_ok());
}

#[test]
fn lines_that_others_have_put_below_stay_and_berths_stay_where_they_are() {
    let input = containerd_1(Some("version = 2\n"));
    let mut with = applied(&input, &changes(&input, &[kata()]).unwrap());
    with.root.text.as_mut().unwrap().push_str("[debug]\nlevel = 'info'\n");
    let other = applied(&with, &changes(&with, &[runc()]).unwrap());
    let text = other.root.text.as_deref().unwrap();
    assert!(text.contains("runc-berth") && !text.contains("kata-berth"), "{text}");
    assert!(text.ends_with("# berth: end\n[debug]\nlevel = 'info'\n"), "{text}");
    let without = applied(&other, &changes(&other, &[]).unwrap());
    assert_eq!(without.root.text.as_deref(), Some("version = 2\n[debug]\nlevel = 'info'\n"));
}

#[test]
fn berths_own_file_is_not_made() {
    let changed = changes(&containerd_1(None), &[kata()]).unwrap();
    assert_eq!(changed.len(), 1);
    assert!(dump_1().contains("io.containerd.grpc.v1.cri"));
}

#[test]
fn a_plan_shows_no_credentials_of_the_lines_around_it() {
    let root = "version = 2
[plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'r.example']
endpoint = ['https://me:hunter1@r.example/v2']
[plugins.'io.containerd.grpc.v1.cri'.registry.configs.'r.example']
auth = { username = 'me', password = 'hunter2' }
identitytoken = 'hunter3'";
    // The last line is told as one that changes: it gets a line break.
    for root in [root.to_owned(), format!("{root}\n"), root.replace('\n', "\r\n")] {
        let input = containerd_1(Some(&root));
        let with = applied(&input, &changes(&input, &[kata()]).unwrap());
        for change in [changes(&input, &[kata()]).unwrap(), changes(&with, &[]).unwrap()].concat() {
            let diff = change.diff();
            assert!(!diff.contains("hunter"), "{diff}");
            assert!(diff.contains("identitytoken = (not shown)"), "{diff}");
            assert_eq!(
                diff.matches("(not shown)\n").count() + diff.matches("(not shown)\r\n").count(),
                diff.matches("(not shown)").count()
            );
        }
    }
}

#[test]
fn a_built_in_handler_with_a_dot_in_its_name_stays_one() {
    let mut input = containerd_1(Some("version = 2\n"));
    input.dump = input.dump.replace("runtimes.kata", "runtimes.'kata.old'");
    let text = root_with(&input, &[runc()]);
    assert!(text.contains("containerd.runtimes.\"kata.old\"]\n"), "{text}");
}
