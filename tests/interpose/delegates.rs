//! Which program berth becomes, and which never.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::isolated;
use crate::stage::{BIN, assert_delegated, command, configured, delegate, interposer, refused, run};

isolated! {
    fn the_delegates_own_name_is_what_it_is_told() {
        // The test's shell says what argv[0] was.
        fs::create_dir_all(BIN).unwrap();
        symlink("/bin/sh", "/run/bin/krun").unwrap();
        let output = run(&interposer("berth-krun"), &["-c", "echo $0"]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "/run/bin/krun\n");
    }

    fn the_configured_delegate_is_taken_whatever_the_name() {
        let path = delegate("elsewhere");
        let yaml = configured(&format!("interposers: {{anything: {{engine: none, delegate: {}}}}}", path.display()));
        assert_delegated(&command(&interposer("anything"), &["state"]).env("BERTH_CONFIG", yaml).output().unwrap());
    }

    fn berth_never_runs_itself() {
        let berth = interposer("berth-runc");
        fs::create_dir_all(BIN).unwrap();
        symlink(env!("CARGO_BIN_EXE_berth"), "/run/bin/onlyberth").unwrap();
        let told = refused(&run(&interposer("berth-onlyberth"), &["state"]));
        assert!(told.contains("delegate /run/bin/onlyberth: is berth itself"), "{told}");
        let yaml = configured(&format!("interposers: {{berth-runc: {{engine: none, delegate: {}}}}}", berth.display()));
        let told = refused(&command(&berth, &["state"]).env("BERTH_CONFIG", yaml).output().unwrap());
        assert!(told.contains("is berth itself"), "{told}");

        // One that is berth is skipped where another is not.
        symlink(env!("CARGO_BIN_EXE_berth"), "/run/berth.d/x").unwrap();
        delegate("x");
        let path = format!("/run/berth.d:{BIN}:/usr/bin:/bin");
        assert_delegated(&command(&interposer("berth-x"), &["state"]).env("PATH", path).output().unwrap());
    }

    fn a_delegate_that_cannot_be_used_is_said() {
        let told = refused(&run(&interposer("berth-absent"), &["state"]));
        assert!(told.contains("delegate absent: not found as an executable file in /run/bin:/usr/bin:/bin:/usr/local/sbin"), "{told}");
        fs::create_dir_all(BIN).unwrap();
        fs::write("/run/bin/plain", "x").unwrap();
        let berth = interposer("w");
        for (delegate, why) in [("/run/bin/plain", "is not executable"), ("/run/bin", "is not a file"), ("/run/none", "does not exist")] {
            let yaml = configured(&format!("interposers: {{w: {{engine: none, delegate: {delegate}}}}}"));
            let told = refused(&command(&berth, &["state"]).env("BERTH_CONFIG", yaml).output().unwrap());
            assert!(told.contains(&format!("delegate {delegate}: {why}")), "{told}");
        }
        fs::set_permissions("/run/bin/plain", std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let told = refused(&run(&interposer("berth-plain"), &["state"]));
        assert!(told.contains("execute /run/bin/plain: Exec format error"), "{told}");
    }

    fn under_its_own_and_unknown_names_berth_takes_commands() {
        let output = run(Path::new(env!("CARGO_BIN_EXE_berth")), &["--version"]);
        assert!(output.status.success());
        let output = run(&interposer("berth2"), &["--version"]);
        assert!(output.status.success(), "{output:?}");
    }
}
