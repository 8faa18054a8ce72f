//! Hosts of other kinds, and what they do not allow.

use super::{CONFIG, ENGINE, INTERPOSER, VM, own_file, read, sh, words};
use crate::rig::Rig;
use crate::rig::containerd::usual_config;
use crate::rig::node::{assert_restored, assert_untouched};
use crate::rig::provision::provision;

const INSTALL: [&str; 4] = ["install", "--handler", VM, "--apply"];
const UNINSTALL: [&str; 2] = ["uninstall", "--apply"];

fn node() -> Rig {
    Rig::node(Some(&usual_config()))
}

/// berth in the rig.
fn berth() -> String {
    format!("/run/rig/berth/{}", crate::rig::berth::binary().file_name().expect("a name").display())
}

#[test]
fn a_host_that_is_mounted_into_a_container_is_installed_on() {
    let rig = node();
    let before = rig.see();
    // A root of its own with berth alone in it, as in a container's image, and the host's in a directory.
    let container = "/run/rig/tmp/container";
    sh(
        &rig,
        &format!(
            "mkdir -p {container}/host {container}/proc {container}/dev; mknod {container}/dev/null c 1 3; cp -L {} {container}/berth; mount --rbind --make-private / {container}/host; mount -t proc proc {container}/proc; \
             for library in $(ldd {} | grep -o '/[^ ]*'); do mkdir -p {container}$(dirname $library); cp -L $library {container}$library; done",
            berth(),
            berth()
        ),
    );
    let args = |args: &[&'static str]| {
        words(&[&["/run/rig/tmp/container", "/berth"], args, &["--host-root", "/host"]].concat(), &ENGINE)
    };
    let program = |args: &[&str]| rig.run("chroot", args);
    let image = || sh(&rig, &format!("find {container} -xdev -printf '%p %T@\\n' | sort"));
    let own = image();
    let plan = program(&args(&["install", "--handler", VM])).expect("a plan");
    assert!(plan.contains(&format!("+ {INTERPOSER} -> berth")) && !plan.contains("/host/"), "{plan}");
    assert_untouched(&before, &rig.see());
    program(&args(&INSTALL)).expect("install");
    assert_eq!(
        sh(&rig, "readlink -f /usr/local/bin/berth-runc | sed 's/-[0-9a-f]*//'"),
        format!("/usr/local/lib/berth/{}/berth\n", ::berth::VERSION)
    );
    assert!(read(&rig, own_file()).contains(INTERPOSER));
    assert_eq!(image(), own, "the container was written to");
    // The same node by itself finds nothing to be done.
    assert!(rig.berth_prints(&words(&["install", "--apply"], &ENGINE)).starts_with("unchanged\n"));
    program(&args(&UNINSTALL)).expect("uninstall");
    assert_restored(&before, &rig.see());
}

/// Where each distribution has its configuration, and what is there when it is installed.
const DISTRIBUTIONS: [(&str, &str, &str, &str); 4] = [
    ("k3s", "/var/lib/rancher/k3s/agent/etc/containerd/config.toml", "", "restart k3s"),
    ("rke2", "/var/lib/rancher/rke2/agent/etc/containerd/config.toml", "", "restart rke2-server"),
    ("k0s", "/etc/k0s/containerd.toml", "# k0s_managed=true\n", "/etc/k0s/containerd.d/50-berth.toml"),
    (
        "microk8s",
        // Where the rig has a directory of its own.
        "/etc/microk8s/containerd.toml",
        "",
        "/var/snap/microk8s/current/args/containerd-template.toml",
    ),
];

#[test]
fn distributions_that_write_their_configuration_are_told_what_to_write() {
    let rig = Rig::node(None);
    // Of /var only /var/lib is the rig's own.
    let layers = "lowerdir=/var,upperdir=/run/rig/var/upper,workdir=/run/rig/var/work";
    sh(&rig, &format!("mkdir -p /run/rig/var/upper /run/rig/var/work; mount -t overlay var -o {layers} /var"));
    // Besides what these have, what their containerd reads.
    for (name, config, mark, told) in DISTRIBUTIONS {
        sh(&rig, &format!("mkdir -p $(dirname {config})"));
        rig.write(config, &format!("{mark}{}", usual_config()));
        let before = (rig.see(), sh(&rig, "find /etc /var/lib | sort"));
        for apply in [&[][..], &["--apply"]] {
            let args = [
                &["install", "--handler", VM, "--engine", name, "--config-file", config][..],
                &["--engine-program", "/run/rig/containerd/containerd"],
                apply,
            ]
            .concat();
            let done = rig.berth_command(&args);
            let [said, left] = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            // What was to be done is not.
            assert_eq!(
                (done.status.code(), left.contains("nothing was installed")),
                match apply {
                    [] => (Some(0), false),
                    _ => (Some(1), true),
                },
                "{name}: {left}"
            );
            assert!(
                said.contains("writes the configuration of its containerd itself; this is done by hand"),
                "{name}: {said}"
            );
            assert!(said.contains(told) && said.contains(&format!("BinaryName = \"{INTERPOSER}\"")), "{name}: {said}");
            assert!(said.ends_with("Nothing was written.\n"), "{name}: {said}");
        }
        assert_untouched(&before.0, &rig.see());
        assert_eq!(sh(&rig, "find /etc /var/lib | sort"), before.1, "{name}");
    }
}

#[test]
fn a_host_that_takes_nothing_says_what_is_possible() {
    let rig = node();
    let before = rig.see();
    for (id, name, possible) in
        [("talos", "Talos", "system extension"), ("bottlerocket", "Bottlerocket", "a variant of the image")]
    {
        sh(&rig, &format!("rm -f /etc/os-release; printf 'ID={id}\\nNAME=\"{name}\"\\n' >/etc/os-release"));
        for args in [&INSTALL[..], &["install"]] {
            let said = rig.berth_fails(&words(args, &ENGINE));
            assert!(
                said.contains(&format!("{name} takes no programs"))
                    && said.contains("as a DaemonSet")
                    && said.contains(possible),
                "{said}"
            );
        }
    }
    assert_untouched(&before, &rig.see());
}

#[test]
fn a_read_only_or_noexec_directory_is_named_with_what_to_choose_and_that_works() {
    let rig = node();
    for (id, other) in [("flatcar", "/opt/bin"), ("cos", "/home/kubernetes/bin"), ("debian", "/opt/berth/bin")] {
        sh(
            &rig,
            &format!("rm -f /etc/os-release; echo ID={id} >/etc/os-release; mount -t tmpfs -o noexec tmpfs /home"),
        );
        // As COS has it: of /home this directory alone takes programs.
        sh(&rig, "mkdir -p /home/kubernetes/bin; mount -t tmpfs -o exec tmpfs /home/kubernetes/bin");
        let before = rig.see();
        sh(&rig, "mount -o remount,ro /usr/local");
        let said = rig.berth_fails(&words(&INSTALL, &ENGINE));
        assert!(
            said.contains("/usr/local/bin is mounted read-only: choose another directory with --bin-dir"),
            "{said}"
        );
        assert_eq!(said.contains(&format!("({other} on this host)")), id != "debian", "{said}");
        sh(&rig, "mount -o remount,rw,noexec /usr/local");
        let said = rig.berth_fails(&words(&INSTALL, &ENGINE));
        assert!(said.contains("/usr/local/bin is mounted noexec: choose another directory with --bin-dir"), "{said}");
        sh(&rig, "mount -o remount,rw,exec /usr/local");
        sh(&rig, "mount -o remount,ro /usr/local");

        let there = sh(&rig, "find /opt /home | sort");
        rig.berth_prints(&words(&words(&INSTALL, &["--bin-dir", other]), &ENGINE));
        assert_eq!(sh(&rig, &format!("{other}/berth --version")), rig.berth_prints(&["--version"]));
        assert!(read(&rig, own_file()).contains(&format!("{other}/berth-runc")));
        // The program itself goes beside the names where it can be run there.
        let program = sh(&rig, &format!("readlink {other}/berth"));
        assert!(program.starts_with(if id == "cos" { "berth.d/" } else { "../lib/berth/" }), "{program}");
        let said = rig.berth_fails(&words(&words(&INSTALL, &["--bin-dir", "/usr/local/bin"]), &ENGINE));
        assert!(
            said.contains(&format!("berth is installed with --bin-dir {other}: use that, or uninstall it first")),
            "{said}"
        );
        rig.berth_prints(&words(&UNINSTALL, &ENGINE));
        sh(&rig, "mount -o remount,rw /usr/local");
        assert_restored(&before, &rig.see());
        assert_eq!(sh(&rig, "find /opt /home | sort"), there, "{id}");
        sh(&rig, "umount /home/kubernetes/bin /home");
    }
}

#[test]
fn who_may_not_write_is_told_so_once_and_nothing_is_written() {
    let rig = node();
    let before = rig.see();
    for args in [&INSTALL[..], &UNINSTALL] {
        // The binary of these tests may be where nobody else can look.
        sh(&rig, &format!("cp {} /run/rig/tmp/berth; chmod 755 /run/rig /run/rig/tmp /run/rig/tmp/berth", berth()));
        let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/run/rig/tmp/berth"];
        let said = rig.run("setpriv", &words(&words(&nobody, args), &ENGINE)).expect_err("nobody may");
        assert!(said.contains("Permission denied") && said.contains("run this as root"), "{said}");
        assert_eq!(said.matches("berth: ").count(), 1, "{said}");
        assert_untouched(&before, &rig.see());
    }
}

#[test]
fn a_disk_that_is_really_full_leaves_everything_as_it_was() {
    let rig = node();
    let size = std::fs::metadata(crate::rig::berth::lean()).expect("berth").len();
    // Room for half of the program; for the program and not for names; and where the record and the configuration go.
    let half = format!("size={}k,nr_inodes=64", size / 2048);
    let names = format!("size={}k,nr_inodes=7", size / 1024 + 512);
    for (dir, options) in [
        ("/usr/local", half.as_str()),
        ("/usr/local", &names),
        ("/var/lib/berth", "size=4k,nr_inodes=64"),
        ("/etc/containerd", "size=100%,nr_inodes=3"),
    ] {
        sh(&rig, &format!("mkdir -p {dir}; mount -t tmpfs -o {options} tmpfs {dir}"));
        match dir {
            "/usr/local" => drop(sh(&rig, "mkdir /usr/local/bin")),
            "/etc/containerd" => rig.write(CONFIG, &usual_config()),
            _ => {}
        }
        let before = rig.see();
        let said = rig.berth_fails(&words(&INSTALL, &ENGINE));
        assert!(
            said.contains("No space left on device") && said.contains("free some space there"),
            "{dir} {options}: {said}"
        );
        assert!(said.contains("everything is as it was before"), "{dir} {options}: {said}");
        assert_restored(&before, &rig.see());
        sh(&rig, &format!("umount {dir}"));
    }
    sh(&rig, "rmdir /var/lib/berth");
    let before = rig.see();
    rig.berth_prints(&words(&INSTALL, &ENGINE));
    rig.berth_prints(&words(&UNINSTALL, &ENGINE));
    assert_restored(&before, &rig.see());
}

#[test]
fn a_configuration_that_is_a_link_stays_one() {
    let rig = node();
    sh(
        &rig,
        &format!(
            "mkdir -p /etc/berth-test/deep; mv {CONFIG} /etc/berth-test/deep/real.toml; ln -s ../berth-test/link.toml {CONFIG}; ln -s deep/real.toml /etc/berth-test/link.toml; chmod 640 /etc/berth-test/deep/real.toml; chown 7:8 /etc/berth-test/deep/real.toml"
        ),
    );
    let state = || {
        sh(&rig, "find /etc/berth-test -printf '%p %y %l %m %U %G %s\\n' | sort; cat /etc/berth-test/deep/real.toml")
    };
    let (before, beside) = (rig.see(), state());
    rig.berth_prints(&words(&INSTALL, &ENGINE));
    assert_eq!(
        sh(
            &rig,
            &format!("readlink {CONFIG} /etc/berth-test/link.toml; stat -c '%a %u %g' /etc/berth-test/deep/real.toml")
        ),
        "../berth-test/link.toml\ndeep/real.toml\n640 7 8\n"
    );
    assert!(read(&rig, "/etc/berth-test/deep/real.toml").contains("berth"));
    rig.berth_prints(&words(&UNINSTALL, &ENGINE));
    assert_eq!(state(), beside);
    assert_restored(&before, &rig.see());
}

/// Nothing here has SELinux: shown is which label is chosen and that it is on the program and stays on the configuration,
/// not what a policy makes of it.
#[test]
fn with_selinux_on_the_program_is_labelled_as_what_it_stands_before_and_files_keep_their_labels() {
    let rig = node();
    let root = "/run/rig/tmp/host";
    let runc = provision().runc.display();
    // A host without the node's own /sys, so that SELinux can be said to be on.
    sh(
        &rig,
        &format!(
            "mkdir -p {root}/sys/fs/selinux {root}/usr/local/bin; echo 1 >{root}/sys/fs/selinux/enforce
             for dir in bin lib lib64 usr/bin usr/lib usr/sbin etc proc dev run var/lib $(dirname {runc}); do [ ! -e /$dir ] || {{ mkdir -p {root}/$dir; mount --rbind /$dir {root}/$dir; }}; done"
        ),
    );
    let label = |path: &str| {
        let file = std::fs::File::open(rig.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut bytes = [0; 128];
        rustix::fs::fgetxattr(&file, "security.selinux", &mut bytes[..])
            .map(|len| String::from_utf8_lossy(&bytes[..len]).trim_end_matches('\0').to_owned())
    };
    let set = |path: &str, label: &str| {
        let file = std::fs::File::open(rig.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let label = [label.as_bytes(), b"\0"].concat();
        rustix::fs::fsetxattr(&file, "security.selinux", &label, rustix::fs::XattrFlags::empty())
            .unwrap_or_else(|e| panic!("label {path}: {e}"));
    };
    // The delegate's own file must stay as it is: a copy stands for it.
    sh(&rig, &format!("cp {runc} /run/rig/tmp/runc; mount --bind /run/rig/tmp/runc {root}{runc}"));
    set("/run/rig/tmp/runc", "system_u:object_r:container_runtime_exec_t:s0");
    set(CONFIG, "system_u:object_r:container_config_t:s0");
    let args = |args: &[&'static str]| words(&[args, &["--host-root", root]].concat(), &ENGINE);
    let plan = rig.berth_prints(&args(&["install", "--handler", VM]));
    let said = format!("SELinux: labelled system_u:object_r:container_runtime_exec_t:s0 as {runc} is");
    assert!(plan.contains(&said), "{plan}");
    rig.berth_prints(&args(&INSTALL));
    let program = sh(&rig, &format!("echo {root}/usr/local/lib/berth/*/berth"));
    assert_eq!(label(program.trim()), Ok("system_u:object_r:container_runtime_exec_t:s0".to_owned()));
    assert_eq!(label(CONFIG), Ok("system_u:object_r:container_config_t:s0".to_owned()));
    rig.berth_prints(&args(&UNINSTALL));
    assert_eq!(label(CONFIG), Ok("system_u:object_r:container_config_t:s0".to_owned()));
    assert_eq!(read(&rig, CONFIG), usual_config());

    // Without a label to take, the host's restorecon is asked; without one it is said.
    sh(
        &rig,
        &format!("cp {runc} /run/rig/tmp/plain; umount {root}{runc}; mount --bind /run/rig/tmp/plain {root}{runc}"),
    );
    let done = rig.berth_command(&args(&INSTALL));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        done.status.success() && said.contains("there is no restorecon on the host; label berth by hand"),
        "{said}"
    );
    rig.berth_prints(&args(&UNINSTALL));
    rig.write("/run/rig/tmp/host/usr/local/bin/restorecon", "#!/bin/sh\necho \"$@\" >/run/rig/tmp/labelled\n");
    sh(&rig, &format!("chmod 755 {root}/usr/local/bin/restorecon"));
    rig.berth_prints(&args(&INSTALL));
    let labelled = read(&rig, "/run/rig/tmp/labelled");
    assert!(labelled.starts_with("-F /usr/local/lib/berth/") && labelled.contains(INTERPOSER), "{labelled}");
    rig.berth_prints(&args(&UNINSTALL));
}
