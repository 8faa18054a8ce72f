//! Archives and checksums.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::tree::{BERTH, HERE, Tree, header};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn archive(tree: &Tree, out: &str) -> Vec<u8> {
    let program = header(&tree.path("program"), 183);
    let manifests = tree.path("manifests");
    let path = tree.ok("tarball", &["arm64", &program, manifests.to_str().unwrap(), tree.path(out).to_str().unwrap()]);
    assert_eq!(path.trim(), tree.path(out).join(format!("berth-{VERSION}-linux-arm64.tar.gz")).to_str().unwrap());
    fs::read(path.trim()).unwrap()
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_and_whenever() {
    let (one, other) = (Tree::new(), Tree::new());
    // A checkout of somebody else: other modes and times, and names in another order.
    let script =
        "chmod -R go-rwx manifests docs && find . -exec touch -d @1 {} + && mv docs d && mkdir docs && mv d/* docs/";
    assert!(Command::new("sh").args(["-c", script]).current_dir(other.path("")).status().unwrap().success());
    let first = archive(&one, "out");
    assert!(first == archive(&other, "elsewhere"), "two archives of one input differ");
    other.edit("LICENSE", "Apache", "apache");
    assert!(first != archive(&other, "again"), "another input gives another archive");
}

#[test]
fn what_is_unpacked_runs_and_has_all_that_a_node_needs() {
    let tree = Tree::new();
    let manifests = tree.path("manifests");
    let out = tree.path("out");
    let path = tree.ok("tarball", &[HERE.0, BERTH, manifests.to_str().unwrap(), out.to_str().unwrap()]);
    assert!(Command::new("tar").args(["-xzf", path.trim(), "-C"]).arg(&out).status().unwrap().success());
    let unpacked = out.join(format!("berth-{VERSION}-linux-{}", HERE.0));
    let said = Command::new(unpacked.join("berth")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).starts_with(&format!("berth {VERSION} ")));
    for file in [
        "LICENSE",
        "CHANGELOG.md",
        "README.md",
        "SECURITY.md",
        "docs/operations.md",
        "completions/berth.bash",
        "completions/_berth",
        "completions/berth.fish",
        "man/berth.1",
        "man/berth-install.1",
        "manifests/systemd/berth.service",
        "manifests/overlays/plugin/kustomization.yaml",
    ] {
        let metadata = fs::metadata(unpacked.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(metadata.len() > 0 && metadata.permissions().mode() & 0o777 == 0o644, "{file}: {metadata:?}");
    }
}

#[test]
fn a_program_of_another_machine_or_version_is_refused() {
    let tree = Tree::new();
    let (out, manifests) = (tree.path("out"), tree.path("manifests"));
    let arm64 = header(&tree.path("program"), 183);
    let args = |arch| [arch, arm64.as_str(), manifests.to_str().unwrap(), out.to_str().unwrap()];
    assert!(tree.refused("tarball", &args("amd64")).contains("ELF machine 183, and 62 is amd64"));
    assert!(tree.refused("tarball", &args("riscv64")).contains("no architecture riscv64"));
    for file in ["Cargo.toml", "Cargo.lock"] {
        tree.edit(file, &format!("name = \"berth\"\nversion = \"{VERSION}\""), "name = \"berth\"\nversion = \"9.9.9\"");
    }
    tree.edit("CHANGELOG.md", VERSION, "9.9.9");
    tree.edit("manifests/base/kustomization.yaml", VERSION, "9.9.9");
    if tree.read("Dockerfile").contains("ARG BERTH_VERSION=") {
        tree.edit("Dockerfile", &format!("ARG BERTH_VERSION={VERSION}"), "ARG BERTH_VERSION=9.9.9");
    }
    assert!(tree.refused("tarball", &args("arm64")).contains("and not berth 9.9.9"));
    assert!(!out.read_dir().is_ok_and(|mut entries| entries.next().is_some()), "and nothing is written");
}

#[test]
fn checksums_are_of_all_files_and_a_changed_byte_is_found() {
    let tree = Tree::new();
    let dir = tree.path("files");
    fs::create_dir(&dir).unwrap();
    for name in ["b.tar.gz", "a b.yaml"] {
        fs::write(dir.join(name), name).unwrap();
    }
    let check = || {
        Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
            .current_dir(&dir)
            .output()
            .unwrap()
    };
    for _again in 0..2 {
        tree.ok("checksums", &[dir.to_str().unwrap()]);
        let sums = tree.read("files/SHA256SUMS");
        let names: Vec<_> = sums.lines().map(|line| &line[66..]).collect();
        assert_eq!(names, ["a b.yaml", "b.tar.gz"]);
        assert!(check().status.success());
    }
    fs::write(dir.join("a b.yaml"), "x").unwrap();
    assert!(!check().status.success());
}
