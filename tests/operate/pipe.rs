//! A reader that has seen enough, and one that cannot be written to.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::isolated;
use crate::scene::{BUNDLES, Pod};

const COMMANDS: [&[&str]; 6] = [
    &["list"],
    &["list", "-o", "json"],
    &["list", "-o", "yaml"],
    &["inspect", "web", "--bundles", BUNDLES],
    &["inspect", "web", "-o", "json"],
    &["gc"],
];

isolated! {
    fn a_closed_pipe_is_no_failure_and_nothing_is_said() {
        let _pod = Pod::new("aa11", "demo", "web");
        for args in COMMANDS {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output =
                Command::new(env!("CARGO_BIN_EXE_berth")).args(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
            assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}: {output:?}");
        }
    }

    fn a_full_disk_is_a_failure_that_is_told() {
        let _pod = Pod::new("aa11", "demo", "web");
        for args in COMMANDS {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let output =
                Command::new(env!("CARGO_BIN_EXE_berth")).args(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}");
            assert_eq!(told, "berth: write the output: No space left on device (os error 28)\n", "{args:?}");
        }
    }
}
