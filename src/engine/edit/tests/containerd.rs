//! containerd 2.

use super::{Change, applied, changes, containerd_2, kata, root_with, runc, snapshot, there_and_back};

#[test]
fn a_handler_has_all_settings_of_the_one_it_stands_beside() {
    let input = containerd_2(Some("version = 3\n"));
    let added = changes(&input, &[kata(), runc()]).unwrap();
    let diff: String = added.iter().map(Change::diff).collect();
    insta::assert_snapshot!(diff);
}

#[test]
fn a_root_file_is_made_where_there_is_none_and_goes_again() {
    let with = there_and_back(&containerd_2(None), &[kata()]);
    insta::assert_snapshot!(with.root.text.as_deref().unwrap(), @r"
    # Made by berth install, where there was no file, and removed by berth uninstall.
    version = 3
    imports = ['/etc/containerd/conf.d/50-berth*.toml'] # berth: written by berth install, taken out by berth uninstall
    ");
    // What somebody has put into it stays, in the words of its version.
    let mut with = with;
    with.root.text.as_mut().unwrap().push_str("[debug]\nlevel = 'info'\n");
    let left = applied(&with, &changes(&with, &[]).unwrap());
    assert_eq!(left.root.text.as_deref(), Some("version = 3\n[debug]\nlevel = 'info'\n"));
}

/// The version of berth's file, for these files in the order in which they are read.
fn version(engine: (u64, u64, u64), root: Option<&str>, others: &[(&str, &str)]) -> String {
    let mut input = containerd_2(root);
    input.version = engine;
    input.others = others.iter().map(|(path, text)| snapshot(path, Some(text))).collect();
    let added = changes(&input, &[kata()]).unwrap();
    added[0].after.as_deref().unwrap().lines().nth(1).unwrap().to_owned()
}

#[test]
fn the_file_speaks_in_the_version_that_counts_without_it() {
    let (new, old) = ((2, 3, 4), (2, 1, 9));
    for engine in [old, new] {
        assert_eq!(version(engine, None, &[]), "version = 3");
        assert_eq!(version(engine, Some(""), &[]), "version = 3");
        assert_eq!(version(engine, Some("version = 2\n"), &[]), "version = 2");
        assert_eq!(version(engine, Some("version = 3\n"), &[]), "version = 3");
    }
    assert_eq!(version(new, Some("version = 4\n"), &[]), "version = 4");
    // 2.3 brings each file up by itself, and takes none above the first that says a version.
    let higher = [("/etc/containerd/x/a.toml", "version = 3\n")];
    assert_eq!(version(new, Some("version = 2\n"), &higher), "version = 2");
    let lower = [("/etc/containerd/x/a.toml", "version = 4\n"), ("/etc/containerd/x/b.toml", "version = 2\n")];
    assert_eq!(version(new, Some("oom_score = 1\n"), &lower), "version = 4");
    // Before, the last one that says a version says it for all.
    assert_eq!(version(old, Some("version = 2\n"), &higher), "version = 3");
    assert_eq!(version(old, Some("version = 3\n"), &lower[1..]), "version = 2");
}

#[test]
fn the_section_is_called_as_in_its_version() {
    let two = changes(&containerd_2(Some("version = 2\n")), &[kata()]).unwrap();
    assert!(
        two[0]
            .after
            .as_deref()
            .unwrap()
            .contains("[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.kata-berth]")
    );
}

#[test]
fn what_others_have_written_meanwhile_stays() {
    let input = containerd_2(Some("version = 3\nimports = ['a.toml']\n"));
    let mut with = applied(&input, &changes(&input, &[kata()]).unwrap());
    let text = with.root.text.as_mut().unwrap();
    *text = text.replace("toml']", "toml', 'b.toml']") + "[debug]\n";
    let without = applied(&with, &changes(&with, &[]).unwrap());
    assert_eq!(without.root.text.as_deref(), Some("version = 3\nimports = ['a.toml', 'b.toml']\n[debug]\n"));

    // On berth's own line, too.
    let input = containerd_2(Some("version = 3\n"));
    let mut with = applied(&input, &changes(&input, &[kata()]).unwrap());
    let text = with.root.text.as_mut().unwrap();
    *text = text.replace("toml']", "toml', 'b.toml']");
    let without = applied(&with, &changes(&with, &[]).unwrap());
    let left = without.root.text.unwrap();
    assert!(left.starts_with("version = 3\nimports = ['b.toml']"), "{left}");
}

#[test]
fn a_file_that_is_not_berths_is_not_removed() {
    let mut input = containerd_2(Some("version = 3\n"));
    input.dropin.text = Some("# mine\n".to_owned());
    assert!(changes(&input, &[]).unwrap().iter().all(|change| !change.is_needed()));
}

#[test]
fn other_handlers_take_the_place_of_earlier_ones() {
    let input = containerd_2(Some("version = 3\n"));
    let with = applied(&input, &changes(&input, &[kata(), runc()]).unwrap());
    assert_eq!(super::super::owned(&with).unwrap(), ["kata-berth", "runc-berth"]);
    let fewer = applied(&with, &changes(&with, &[runc()]).unwrap());
    assert_eq!(super::super::owned(&fewer).unwrap(), ["runc-berth"]);
    assert_eq!(fewer.root, with.root);
}

#[test]
fn a_diff_of_nothing_is_empty() {
    let input = containerd_2(Some("version = 3\n"));
    let with = applied(&input, &changes(&input, &[kata()]).unwrap());
    assert!(changes(&with, &[kata()]).unwrap().iter().all(|change| change.diff().is_empty()));
    assert!(root_with(&with, &[kata()]).contains("50-berth*.toml"));
}

#[test]
fn a_byte_order_mark_stays_where_it_is() {
    let with = there_and_back(&containerd_2(Some("\u{feff}oom_score = 1\n")), &[kata()]);
    assert!(with.root.text.unwrap().starts_with("\u{feff}imports = "));
}
