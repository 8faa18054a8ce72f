//! `imports`, in every form.

use super::super::patterns;
use super::{applied, changes, containerd_2, kata, root_with, there_and_back};
use std::path::{Path, PathBuf};

#[test]
fn an_entry_is_added_in_the_manner_of_the_last_one() {
    for (before, after) in [
        ("imports = []", r#"imports = ["@"]"#),
        ("imports = [ ]", r#"imports = ["@" ]"#),
        ("imports=['a']", "imports=['a', '@']"),
        (r#"imports = ["a"]"#, r#"imports = ["a", "@"]"#),
        (r#"imports = ["a",]"#, r#"imports = ["a", "@",]"#),
        (r#"imports = [ "a" , ]"#, r#"imports = [ "a" , "@", ]"#),
        (r#"imports = [ "a" ] # why"#, r#"imports = [ "a", "@" ] # why"#),
        ("imports = [\n  \"a\",\n  'b',\n]", "imports = [\n  \"a\",\n  'b',\n  '@',\n]"),
        ("imports = [\n\t\"a\", # one\n\t\"b\" # two\n]", "imports = [\n\t\"a\", # one\n\t\"b\", # two\n\t\"@\"\n]"),
        ("imports = [\n  'a', # one\n  # the end\n]", "imports = [\n  'a', # one\n  '@',\n  # the end\n]"),
        ("imports = [\n  'a'\n  , # late\n]", "imports = [\n  'a'\n  , # late\n  '@',\n]"),
        ("imports = [\n  'a']", "imports = [\n  'a',\n  '@']"),
        ("imports = [\r\n  'a',\r\n]", "imports = [\r\n  'a',\r\n  '@',\r\n]"),
        ("imports = ['a',\n 'b', 'c', # last\n]", "imports = ['a',\n 'b', 'c', '@', # last\n]"),
        ("imports = [ # none\n]", "imports = [\"@\" # none\n]"),
    ] {
        for (start, end) in [("", ""), ("version = 3\n", "\n[debug]\nlevel = 'info'\n"), ("# first\n", "\n")] {
            let [before, after] = [before, after].map(|text| format!("{start}{text}{end}"));
            let with = there_and_back(&containerd_2(Some(&before)), &[kata()]);
            assert_eq!(with.root.text.unwrap().replace("/etc/containerd/conf.d/50-berth*.toml", "@"), after);
        }
    }
}

#[test]
fn what_covers_berths_file_is_enough() {
    for entry in [
        "/etc/containerd/conf.d/*.toml",
        "/etc/containerd/conf.d/*",
        "/etc/containerd/*/*.toml",
        "conf.d/*.toml",
        "./conf.d/../conf.d/50-*.toml",
        "/etc/containerd//conf.d/50-berth.toml",
        "/etc/containerd/conf.d/[0-9]*-berth.toml",
        "/etc/containerd/conf.d/[^a-z]**",
    ] {
        let root = format!("version = 3\nimports = ['{entry}']\n");
        assert_eq!(root_with(&containerd_2(Some(&root)), &[kata()]), root, "{entry}");
    }
    for entry in [
        "/etc/containerd/*.toml",
        "/etc/containerd/conf.d/60-*.toml",
        "/etc/containerd/conf.d/??-berth.toml",
        "conf.d/*.conf",
        "/etc/containerd/conf.d",
        "*/conf.d/*.toml",
        "/etc/**/*.toml",
        "conf.d/[^0-9]*.toml",
        "conf.d/[!a]*.toml",
        "conf.d/\\\\*.toml",
        "[",
    ] {
        let root = format!("version = 3\nimports = [\"{entry}\"]\n");
        assert_ne!(root_with(&containerd_2(Some(&root)), &[kata()]), root, "{entry}");
    }
}

#[test]
fn imports_come_at_the_top_level_where_there_are_none() {
    for (before, after) in [
        ("version = 3\n", "version = 3\n@\n"),
        ("version = 3", "version = 3\n@"),
        ("version = 3 # three\r\n[debug]\r\n", "version = 3 # three\r\n@\r\n[debug]\r\n"),
        ("root = '/x'\nversion = 2\n\n[debug]\n", "root = '/x'\nversion = 2\n@\n\n[debug]\n"),
        ("# one\nversion = 3\r\n[debug]\n", "# one\nversion = 3\r\n@\r\n[debug]\n"),
        ("", "@\n"),
        ("# a licence\n", "@\n# a licence\n"),
        ("[debug]\nimports = ['not these']\n", "@\n[debug]\nimports = ['not these']\n"),
        ("[debug]\nversion = 3\n", "@\n[debug]\nversion = 3\n"),
    ] {
        let with = there_and_back(&containerd_2(Some(before)), &[kata()]);
        let line = "imports = ['/etc/containerd/conf.d/50-berth*.toml'] \
                    # berth: written by berth install, taken out by berth uninstall";
        assert_eq!(with.root.text.unwrap().replace(line, "@"), after);
    }
}

#[test]
fn an_import_of_berths_file_by_name_goes_with_it() {
    // containerd does not start without a file that is imported by its name.
    let root = "version = 3\nimports = ['a.toml', 'conf.d/50-berth.toml', 'b.toml']\n";
    let input = containerd_2(Some(root));
    let with = applied(&input, &changes(&input, &[kata()]).unwrap());
    assert_eq!(with.root, input.root);
    let without = applied(&with, &changes(&with, &[]).unwrap());
    assert_eq!(without.root.text.as_deref(), Some("version = 3\nimports = ['a.toml', 'b.toml']\n"));
}

#[test]
fn entries_are_absolute_and_clean() {
    let found = patterns(Path::new("/etc/c/config.toml"), "imports = ['/a/*.toml', 'b', '../d/./e']").unwrap();
    assert_eq!(found, ["/a/*.toml", "/etc/c/b", "/etc/d/e"].map(PathBuf::from));
    assert_eq!(patterns(Path::new("/etc/c/config.toml"), "").unwrap(), Vec::<PathBuf>::new());
}
