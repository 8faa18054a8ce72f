//! What somebody else has changed between an install and the next one, or the uninstall: theirs stays, and nothing is lost.

use super::{CONFIG, ENGINE, INTERPOSER, VM, own_file, read, sh, words};
use crate::rig::Rig;
use crate::rig::containerd::usual_config;
use crate::rig::node::{Seen, assert_restored, assert_untouched};
use crate::rig::provision::provision;
use std::collections::BTreeMap;
use std::path::PathBuf;

const INSTALL: [&str; 4] = ["install", "--handler", VM, "--apply"];
const UNINSTALL: [&str; 2] = ["uninstall", "--apply"];

fn installed() -> (Rig, BTreeMap<PathBuf, Seen>) {
    let rig = Rig::node(Some(&usual_config()));
    let before = rig.see();
    rig.berth_prints(&words(&INSTALL, &ENGINE));
    (rig, before)
}

#[test]
fn edits_of_the_root_file_stay() {
    let (rig, _) = installed();
    let cri = if provision().containerd_version >= (2, 0) { "cri.v1.runtime" } else { "grpc.v1.cri" };
    let theirs = format!(
        "# later\n[plugins.'io.containerd.{cri}'.containerd.runtimes.later]\n  runtime_type = 'io.containerd.runc.v2' # ours\n"
    );
    rig.write(CONFIG, &(read(&rig, CONFIG).replacen("# Some machines", "# Few machines", 1) + &theirs));
    // A further handler beside it, and both out again.
    rig.berth_prints(&words(&["install", "--handler", "later", "--apply"], &ENGINE));
    let done = rig.berth_command(&words(&UNINSTALL, &ENGINE));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{done:?}");
    assert!(
        said.contains(&format!("{CONFIG} was changed since: berth's own parts were taken out, the rest stays")),
        "{said}"
    );
    assert_eq!(read(&rig, CONFIG), usual_config().replacen("# Some machines", "# Few machines", 1) + &theirs);
    assert_eq!(sh(&rig, "ls /etc/containerd /usr/local/bin"), "/etc/containerd:\nconfig.toml\n\n/usr/local/bin:\n");
}

#[test]
fn what_was_written_into_berths_own_text_is_not_lost() {
    let (rig, before) = installed();
    let text = read(&rig, own_file());
    let edited = text.replacen("# berth: end", "# mine\n# berth: end", 1);
    let edited = if edited == text { text.clone() + "# mine\n" } else { edited };
    rig.write(own_file(), &edited);
    let changed = rig.see();
    let other = ["install", "--handler", "runc", "--apply"];
    for args in [&UNINSTALL[..], &["uninstall"], &INSTALL, &other] {
        let said = rig.berth_fails(&words(args, &ENGINE));
        assert!(
            said.contains(&format!(
                "{}: what berth wrote there was changed by hand since: put what is yours",
                own_file()
            )),
            "{said}"
        );
        assert_untouched(&changed, &rig.see());
    }
    // As the words say.
    if own_file() == CONFIG {
        rig.write(CONFIG, &usual_config());
    } else {
        sh(&rig, &format!("rm {}", own_file()));
    }
    rig.berth_prints(&words(&INSTALL, &ENGINE));
    assert_eq!(read(&rig, own_file()), text);
    rig.berth_prints(&words(&UNINSTALL, &ENGINE));
    assert_restored(&before, &rig.see());
}

#[test]
fn an_own_file_that_does_not_say_so_any_more_is_not_taken_for_somebody_elses() {
    let (rig, before) = installed();
    if own_file() == CONFIG {
        // There it is lines, and without the first of them it is a handler of somebody's.
        let text = read(&rig, CONFIG);
        rig.write(
            CONFIG,
            &text
                .lines()
                .filter(|line| !line.starts_with("# berth: "))
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        );
    } else {
        let text = read(&rig, own_file());
        rig.write(own_file(), text.split_once('\n').expect("lines").1);
    }
    let changed = rig.see();
    let said = rig.berth_fails(&words(&UNINSTALL, &ENGINE));
    let wanted = if own_file() == CONFIG { "lead through it: vm-berth" } else { "was changed by hand since" };
    assert!(said.contains(wanted), "{said}");
    assert_untouched(&changed, &rig.see());
    sh(&rig, &format!("rm {}", own_file()));
    if own_file() == CONFIG {
        rig.write(CONFIG, &usual_config());
    }
    rig.berth_prints(&words(&UNINSTALL, &ENGINE));
    assert_restored(&before, &rig.see());
}

#[test]
fn a_handler_of_somebody_else_that_leads_through_berth_keeps_it() {
    let (rig, before) = installed();
    let config = read(&rig, CONFIG);
    let cri = if provision().containerd_version >= (2, 0) { "cri.v1.runtime" } else { "grpc.v1.cri" };
    let theirs = format!(
        "[plugins.'io.containerd.{cri}'.containerd.runtimes.copied]\n  runtime_type = 'io.containerd.runc.v2'\n\
         [plugins.'io.containerd.{cri}'.containerd.runtimes.copied.options]\n  BinaryName = '{INTERPOSER}'\n"
    );
    rig.write(CONFIG, &(config.clone() + &theirs));
    let changed = rig.see();
    let said = rig.berth_fails(&words(&UNINSTALL, &ENGINE));
    assert!(said.contains("handlers that berth did not add lead through it: copied; take them out"), "{said}");
    assert_untouched(&changed, &rig.see());
    rig.write(CONFIG, &config);
    rig.berth_prints(&words(&UNINSTALL, &ENGINE));
    assert_restored(&before, &rig.see());
}

#[test]
fn other_files_in_the_place_of_berths_stay() {
    let (rig, before) = installed();
    sh(&rig, "cd /usr/local/bin; rm berth berth-runc; echo theirs >berth; ln -s true berth-runc");
    let changed = rig.see();
    let said = rig.berth_fails(&words(&INSTALL, &ENGINE));
    assert!(
        said.contains("/usr/local/bin/berth-runc: is a link to something else, and berth did not put it there"),
        "{said}"
    );
    assert_untouched(&changed, &rig.see());
    let done = rig.berth_command(&words(&UNINSTALL, &ENGINE));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    for name in ["berth", "berth-runc"] {
        assert!(
            done.status.success() && said.contains(&format!("/usr/local/bin/{name} was changed since: it stays")),
            "{said}"
        );
    }
    assert_eq!(sh(&rig, "cat /usr/local/bin/berth; readlink /usr/local/bin/berth-runc"), "theirs\ntrue\n");
    sh(&rig, "rm /usr/local/bin/*");
    assert_restored(&before, &rig.see());
}

#[test]
fn a_program_that_was_replaced_stays_and_is_put_right_by_an_install() {
    let (rig, before) = installed();
    let program = sh(&rig, "readlink -f /usr/local/bin/berth");
    let program = program.trim();
    sh(&rig, &format!("echo theirs >{program}.new; mv {program}.new {program}"));
    rig.berth_prints(&words(&INSTALL, &ENGINE));
    assert_eq!(sh(&rig, "/usr/local/bin/berth --version"), rig.berth_prints(&["--version"]));
    // What was theirs comes back.
    rig.berth_prints(&words(&UNINSTALL, &ENGINE));
    assert_eq!(read(&rig, program), "theirs\n");
    sh(&rig, "rm -r /usr/local/lib");
    assert_restored(&before, &rig.see());
}

#[test]
fn a_file_of_somebody_else_where_berths_own_would_be_stops_it() {
    if own_file() == CONFIG {
        // There is no such file.
        return;
    }
    let rig = Rig::node(Some(&usual_config()));
    sh(&rig, "mkdir /etc/containerd/conf.d");
    rig.write(own_file(), "version = 2\n");
    let before = rig.see();
    let said = rig.berth_fails(&words(&INSTALL, &ENGINE));
    assert!(said.contains(own_file()), "{said}");
    assert_untouched(&before, &rig.see());
}
