//! What is in the image, for every processor.

use std::fs;
use std::process::Command;

use super::archive::Archive;
use super::{PROCESSORS, Processor, printed, script};
use crate::rig::provision::components;

/// What the image may take on a node, and the archive on its way there: 8 MB.
const LIMIT: u64 = 8_000_000;

#[test]
fn it_is_one_static_program_in_at_most_8_mb() {
    for Processor { arch, machine, .. } in PROCESSORS {
        let path = script("image", &["--arch", arch], &[]);
        let archive = Archive::open(&path);

        let listed = printed(Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(archive.layer()));
        let entries: Vec<Vec<_>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        let [entry] = entries.as_slice() else { panic!("{arch}: not one file:\n{listed}") };
        assert_eq!((entry[0], entry[1], *entry.last().unwrap()), ("-rwxr-xr-x", "0/0", "berth"), "{arch}");

        let binary = archive.binary();
        for file in [&path, &archive.layer(), &binary] {
            let size = fs::metadata(file).unwrap().len();
            assert!((1_000_000..=LIMIT).contains(&size), "{arch}: {} has {size} bytes", file.display());
        }
        let elf =
            printed(Command::new("readelf").args(["--wide", "--file-header", "--segments", "--dynamic"]).arg(binary));
        assert!(elf.contains(machine), "{arch}: another processor's:\n{elf}");
        assert!(!elf.contains("INTERP") && !elf.contains("NEEDED"), "{arch}: not static:\n{elf}");
    }
}

#[test]
fn it_says_what_it_is_and_of_which_sources() {
    for Processor { arch, .. } in PROCESSORS {
        let mut config = Archive::open(&script("image", &["--arch", arch], &[])).config();
        assert_eq!((&config["architecture"], &config["os"]), (&arch.into(), &"linux".into()));

        let labels = &mut config["config"]["Labels"];
        let revision = labels["org.opencontainers.image.revision"].take();
        let revision = revision.as_str().unwrap();
        let commit = revision.strip_suffix("-dirty").unwrap_or(revision);
        assert!(commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit()), "{arch}: {revision}");
        assert_eq!(labels["org.opencontainers.image.version"].take(), env!("CARGO_PKG_VERSION"));
        assert_eq!(labels["org.opencontainers.image.licenses"], env!("CARGO_PKG_LICENSE"));

        // What else is there is the builder's own way to say nothing.
        let said =
            ["Entrypoint", "Cmd", "Labels", "User", "ExposedPorts", "Volumes"].map(|key| (key, &config["config"][key]));
        insta::allow_duplicates! {
            insta::assert_snapshot!("config", said.map(|(key, value)| format!("{key}: {value:#}\n")).concat());
        }
    }
}

#[test]
fn its_program_runs_on_its_processor() {
    let emulators = components(&["qemu_user"]);
    for Processor { arch, cpu, .. } in PROCESSORS {
        let archive = Archive::open(&script("image", &["--arch", arch], &[]));
        let emulator = &emulators[&format!("BERTH_RIG_QEMU_{}", cpu.to_uppercase())];
        let said = printed(Command::new(emulator).arg(archive.binary()).arg("--version"));
        let revision = archive.config()["config"]["Labels"]["org.opencontainers.image.revision"].clone();
        let commit = &revision.as_str().unwrap()[..12];
        assert_eq!(said, format!("berth {} ({commit})\n", env!("CARGO_PKG_VERSION")), "{arch}");
    }
}
