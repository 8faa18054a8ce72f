//! The directory itself: what is trusted, what is listed, what is swapped.

#![allow(clippy::disallowed_methods)] // does by hand what engines do

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, umount2};

use crate::netns::testing::{bind, engine_file, isolated, name, new_netns, same, with_store};
use crate::netns::{NetnsError, PinState, Store};
use crate::pin::PinName;

fn refused(path: &str) -> String {
    let error = Store::open(Path::new(path)).unwrap_err();
    assert!(matches!(error, NetnsError::Directory { .. }), "{error}");
    error.to_string()
}

#[test]
fn it_is_created_and_its_path_made_canonical() {
    isolated(|| {
        fs::create_dir("/run/real").unwrap();
        symlink("/run/real", "/run/alias").unwrap();
        let store = Store::open(Path::new("/run/alias/netns")).unwrap();
        assert_eq!(store.dir_path(), Path::new("/run/real/netns"));
        assert_eq!(store.path(&name("a")), Path::new("/run/real/netns/berth-a"));
        assert_eq!(fs::metadata("/run/real/netns").unwrap().permissions().mode() & 0o7777, 0o755);
    });
}

#[test]
fn one_that_others_may_write_to_is_refused() {
    with_store(|store| {
        fs::set_permissions("/run/netns", fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(refused("/run/netns").contains("others may write"));
        assert!(store.adopt(&name("a"), &new_netns(), &[]).is_err(), "also later");
    });
}

#[test]
fn one_of_another_user_is_refused() {
    with_store(|_| {
        chown("/run/netns", Some(1), None).unwrap();
        assert!(refused("/run/netns").contains("another user"));
    });
}

#[test]
fn a_file_is_refused() {
    isolated(|| {
        fs::write("/run/netns", "").unwrap();
        assert!(refused("/run/netns").contains("not a directory"));
    });
}

#[test]
fn a_symbolic_link_put_in_its_place_later_is_not_followed() {
    with_store(|store| {
        let pin = store.create(&name("a")).unwrap();
        fs::create_dir("/run/trap").unwrap();
        fs::rename("/run/netns", "/run/moved").unwrap();
        symlink("/run/trap", "/run/netns").unwrap();
        assert!(matches!(store.create(&name("b")).unwrap_err(), NetnsError::Directory { .. }));
        assert!(matches!(store.release(&name("a")).unwrap_err(), NetnsError::Directory { .. }));
        assert!(same(Path::new("/run/moved/berth-a"), pin.id));
        assert_eq!(fs::read_dir("/run/trap").unwrap().count(), 0);
    });
}

#[test]
fn the_list_has_pins_of_all_states_and_junk_apart() {
    with_store(|store| {
        let pin = store.create(&name("b")).unwrap();
        let scoped = PinName::parse("berth-b-00c0ffee").unwrap();
        fs::write(store.path(&name("a")), "").unwrap();
        fs::create_dir(store.path(&scoped)).unwrap();
        fs::write("/run/netns/berth-.x", "").unwrap();
        fs::write("/run/netns/berth-", "").unwrap();
        engine_file("/run/netns/cni-1", &new_netns());
        let listing = store.list().unwrap();
        let expected = vec![
            (name("a"), PinState::Placeholder),
            (name("b"), PinState::Pinned(pin.id)),
            (scoped, PinState::Foreign("directory")),
        ];
        assert_eq!(listing.pins, expected);
        let mut junk = listing.junk;
        junk.sort();
        assert_eq!(junk, ["berth-", "berth-.x"]);
    });
}

#[test]
fn others_are_the_engines_files_of_the_same_namespace() {
    with_store(|store| {
        let ns = new_netns();
        engine_file("/run/netns/cni-1", &ns);
        engine_file("/run/netns/cni-2", &new_netns());
        fs::write("/run/netns/plain", "").unwrap();
        store.adopt(&name("a"), &ns, &[]).unwrap();
        store.adopt(&name("b"), &ns, &[]).unwrap();
        assert_eq!(store.others(ns.id()).unwrap(), [Path::new("/run/netns/cni-1")]);
        // One that another mount covers holds the namespace all the same; one that is unmounted does not.
        engine_file("/run/netns/cni-3", &ns);
        bind("/proc/version", "/run/netns/cni-3", MsFlags::empty());
        assert_eq!(store.others(ns.id()).unwrap(), ["/run/netns/cni-1", "/run/netns/cni-3"].map(Path::new));
        umount2("/run/netns/cni-1", MntFlags::MNT_DETACH).unwrap();
        assert_eq!(store.others(ns.id()).unwrap(), [Path::new("/run/netns/cni-3")]);
    });
}
