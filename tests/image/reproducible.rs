//! Whoever has the sources makes the same image of them.

use super::archive::{Archive, sum};
use super::{own, script};

#[test]
fn another_build_without_caches_gives_the_same_image() {
    let first = Archive::open(&script("image", &[], &[]));
    let cache = tempfile::tempdir().unwrap();
    let elsewhere = [("BERTH_CACHE", cache.path().to_str().unwrap())];
    let second = Archive::open(&script("image", &["--no-cache"], &elsewhere));
    assert_eq!(sum(&second.binary()), sum(&first.binary()), "the program");
    assert_eq!(sum(&second.layer()), sum(&first.layer()), "the layer around it");
    assert_eq!(second.id(), first.id(), "{:#} and {:#}", second.config(), first.config());
}

/// Another directory, another one for crates, another linker in the PATH.
#[test]
fn a_checkouts_release_build_is_the_images_program() {
    let image = Archive::open(&script("image", &[], &[]));
    let revision = image.config()["config"]["Labels"]["org.opencontainers.image.revision"].clone();
    let built = script("build", &[own().arch], &[("BERTH_COMMIT", &revision.as_str().unwrap()[..12])]);
    assert_eq!(sum(&built), sum(&image.binary()));

    // So the tests' short way, which takes that one, tests this image.
    let short = Archive::open(&script("image", &["--binary", built.to_str().unwrap()], &[]));
    assert_eq!(short.id(), image.id());
}
