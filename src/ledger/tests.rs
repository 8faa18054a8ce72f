use super::record::tests::sample;
use super::*;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;

fn ledger() -> (tempfile::TempDir, Ledger) {
    let dir = tempfile::tempdir().expect("dir");
    let ledger = Ledger::open(&dir.path().join("state")).expect("open");
    (dir, ledger)
}

fn name(text: &str) -> PinName {
    PinName::parse(text).expect("valid")
}

#[test]
fn a_record_is_there_until_it_is_removed_and_removal_can_be_repeated() {
    let (_dir, ledger) = ledger();
    let name = name("berth-s1");
    assert!(ledger.get(&name).expect("get").is_none());
    ledger.put(&name, &sample()).expect("put");
    ledger.put(&name, &sample()).expect("put again");
    assert_eq!(ledger.get(&name).expect("get"), Some(sample()));
    assert!(ledger.remove(&name).expect("remove"));
    assert!(!ledger.remove(&name).expect("remove again"));
}

#[test]
fn what_cannot_be_read_is_reported_and_hides_nothing_and_stays() {
    let (_dir, ledger) = ledger();
    let dir = ledger.dir().join("sandboxes");
    ledger.put(&name("berth-good"), &sample()).expect("put");
    let half = &sample().encode().expect("encode")[..40];
    for (file, bytes) in [
        ("berth-half.json", half),
        ("berth-newer.json", br#"{"version":9}"#),
        ("foreign.txt", b"x"),
        ("berth-..json", b"x"),
        (".tmp-abc", b"x"),
    ] {
        fsutil::replace_file(&dir.join(file), bytes).expect(file);
    }
    let listing = ledger.list().expect("list");
    assert_eq!(listing.records.len(), 1);
    let reasons: Vec<_> = listing.unreadable.iter().map(|error| format!("{error:?}")).collect();
    assert_eq!(reasons.len(), 4, "{reasons:#?}");
    assert!(reasons.iter().any(|reason| reason.contains("Newer(9)")));
    assert_eq!(std::fs::read_dir(&dir).expect("dir").count(), 6);
}

#[test]
fn every_record_has_its_turn_and_none_twice_in_one() {
    let (_dir, ledger) = ledger();
    assert_eq!(ledger.some(7, 8).expect("none"), []);
    for id in 0..20 {
        ledger.put(&name(&format!("berth-{id}")), &sample()).expect("put");
        let some = ledger.some(7, 8).expect("some");
        assert_eq!(some.iter().collect::<HashSet<_>>().len(), 8.min(id + 1), "{some:?}");
    }
    fsutil::replace_file(&ledger.dir().join("sandboxes/.tmp-x"), b"").expect("temp");
    let turns: Vec<_> = (0..20).map(|from| ledger.some(from, 8).expect("some")).collect();
    assert!(turns.iter().all(|some| some.iter().collect::<HashSet<_>>().len() == 8), "{turns:?}");
    assert_eq!(turns.iter().flatten().collect::<HashSet<_>>().len(), 20);
}

#[test]
fn a_state_directory_that_others_can_write_is_refused_with_the_remedy() {
    let (_dir, ledger) = ledger();
    std::fs::set_permissions(ledger.dir(), std::fs::Permissions::from_mode(0o777)).expect("chmod");
    let error = Ledger::open(ledger.dir()).expect_err("world-writable").to_string();
    assert!(error.contains("mode 777") && error.contains("chmod 700"), "{error}");
}

#[test]
fn a_state_directory_that_is_a_file_or_a_link_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("file");
    fsutil::replace_file(&file, b"").expect("file");
    assert!(Ledger::open(&file).is_err());
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).expect("link");
    assert!(matches!(Ledger::open(&link), Err(LedgerError::Unsafe { .. })));
}

#[test]
fn a_held_lock_is_waited_for_and_then_named() {
    let (_dir, ledger) = ledger();
    let name = name("berth-s1");
    let _held = ledger.lock(&name, Duration::ZERO).expect("free");
    let error = ledger.lock(&name, Duration::from_millis(20)).expect_err("held").to_string();
    assert!(error.contains("lock of berth-s1") && error.contains("20 ms"), "{error}");
}

#[test]
fn only_old_temporary_files_are_swept() {
    let (_dir, ledger) = ledger();
    let temp = ledger.dir().join("sandboxes").join(".tmp-x");
    fsutil::replace_file(&temp, b"").expect("temp");
    assert_eq!(ledger.sweep(Duration::from_secs(60)).expect("sweep"), 0);
    assert_eq!(ledger.sweep(Duration::ZERO).expect("sweep"), 1);
    assert!(!temp.exists());
}

#[test]
fn there_is_one_daemon() {
    let (_dir, ledger) = ledger();
    let held = ledger.lock_daemon().expect("lock").expect("first");
    assert!(ledger.lock_daemon().expect("lock").is_none());
    drop(held);
    assert!(ledger.lock_daemon().expect("lock").is_some());
}

#[test]
fn no_ledger_reads_as_an_empty_one_and_none_is_made() {
    let dir = tempfile::tempdir().expect("dir");
    let absent = dir.path().join("absent");
    let ledger = Ledger::existing(&absent).expect("ok");
    assert!(ledger.list().expect("list").records.is_empty());
    assert!(ledger.get(&name("berth-a")).expect("get").is_none() && !absent.exists());
}

#[test]
fn locks_of_pins_that_were_never_made_are_swept_and_held_ones_are_not() {
    let (_dir, ledger) = ledger();
    drop(ledger.lock(&name("berth-never"), Duration::ZERO).expect("lock"));
    let held = ledger.lock(&name("berth-held"), Duration::ZERO).expect("lock");
    drop(ledger.lock(&name("berth-kept"), Duration::ZERO).expect("lock"));
    ledger.put(&name("berth-kept"), &sample()).expect("put");
    assert_eq!(ledger.sweep(Duration::ZERO).expect("sweep"), 1);
    let left = |name: &str| ledger.dir().join("locks").join(name).exists();
    assert!(!left("berth-never") && left("berth-held") && left("berth-kept"));
    drop(held);
}
