use super::{COMPACT, changes};
use crate::exit::chain;
use crate::oci::{Bundle, BundleError, CONFIG, MAX_CONFIG, edit};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn bundle(text: &str) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("a bundle\nwith ").tempdir().expect("dir");
    fs::write(dir.path().join(CONFIG), text).expect("config.json");
    dir
}

fn entries(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .expect("list")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .collect()
}

fn open(dir: &Path) -> Result<Option<Bundle>, String> {
    Bundle::open(dir).map_err(|error| chain(&error))
}

#[test]
fn a_replaced_file_keeps_mode_owner_group_and_context() {
    let dir = bundle(COMPACT);
    let path = dir.path().join(CONFIG);
    std::os::unix::fs::chown(&path, Some(1234), Some(5678)).expect("needs root");
    fs::set_permissions(&path, Permissions::from_mode(0o4710)).expect("mode");
    let context = b"system_u:object_r:container_file_t:s0\0";
    let file = File::open(&path).expect("open");
    rustix::fs::fsetxattr(&file, "security.selinux", context, rustix::fs::XattrFlags::empty()).expect("needs root");
    let bundle = Bundle::open(dir.path()).expect("open").expect("is there");
    let text = edit(&bundle.scan().expect("scan"), &changes(&[("k", "v")], &[], None)).expect("edit");
    bundle.replace(&text).expect("replace");
    let data = fs::metadata(&path).expect("data");
    assert_eq!((data.mode() & 0o7777, data.uid(), data.gid()), (0o4710, 1234, 5678));
    assert_ne!(data.ino(), file.metadata().expect("old").ino(), "a new file, renamed");
    let mut found = [0_u8; 100];
    let len = rustix::fs::fgetxattr(File::open(&path).expect("open"), "security.selinux", &mut found).expect("context");
    assert_eq!(&found[..len], context);
    assert_eq!(fs::read_to_string(&path).expect("text"), text);
    assert_eq!(entries(dir.path()), [CONFIG]);
}

#[test]
fn a_bundle_without_the_file_is_none() {
    let dir = bundle(COMPACT);
    fs::remove_file(dir.path().join(CONFIG)).expect("remove");
    assert!(open(dir.path()).expect("no error").is_none());
    assert!(open(&dir.path().join("absent")).expect("no error").is_none());
}

#[test]
fn what_is_no_regular_file_of_bounded_size_is_refused_unread() {
    let dir = bundle(COMPACT);
    let path = dir.path().join(CONFIG);
    File::options().write(true).open(&path).expect("open").set_len(1 << 30).expect("a sparse gigabyte");
    let error = Bundle::open(dir.path()).expect_err("too large");
    assert!(matches!(error, BundleError::TooLarge { size, .. } if size == 1 << 30), "{error}");
    assert!(error.to_string().ends_with(&format!("has 1073741824 bytes, at most {MAX_CONFIG} are read")));

    fs::remove_file(&path).expect("remove");
    symlink("/etc/passwd", &path).expect("link");
    assert!(open(dir.path()).expect_err("link").contains("Too many levels of symbolic links"));

    fs::remove_file(&path).expect("remove");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    assert!(open(dir.path()).expect_err("fifo").ends_with("is not a regular file"));

    fs::remove_file(&path).expect("remove");
    fs::create_dir(&path).expect("dir");
    assert!(open(dir.path()).expect_err("directory").ends_with("is not a regular file"));
}

#[test]
fn a_failed_replacement_leaves_the_old_file_and_nothing_else() {
    let dir = bundle(COMPACT);
    let bundle = Bundle::open(dir.path()).expect("open").expect("is there");
    let path = dir.path().join(CONFIG);
    fs::remove_file(&path).expect("remove");
    fs::create_dir(&path).expect("something that cannot be renamed onto");
    let error = chain(&bundle.replace("{}").expect_err("rename"));
    assert!(error.contains("rename a temporary file to"), "{error}");
    assert_eq!(entries(dir.path()), [CONFIG]);
}

#[test]
fn a_broken_file_is_named() {
    let dir = bundle("{\"annotations\":");
    let error = Bundle::open(dir.path()).expect("open").expect("is there").scan().map(drop).expect_err("broken");
    assert!(chain(&error).starts_with(&format!("{}: is not JSON: EOF", dir.path().join(CONFIG).display())), "{error}");
}
