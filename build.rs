//! Generates the NRI messages and services, and tells the binary which commit it was built from.
//!
//! Nothing generated is written outside `OUT_DIR`. Neither `protoc` nor git is needed: without git,
//! or in an unpacked crate, the commit is "unknown".

use std::path::{Path, PathBuf};
use std::process::Command;

use ttrpc_codegen::{Codegen, Customize, ProtobufCustomize};

const PROTO: &str = "protos/nri.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    generate(&out)?;
    announce_commit();
    Ok(())
}

/// Writes `nri.rs` (messages) and `nri_ttrpc.rs` (services) ready to be `include!`d.
fn generate(out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    Codegen::new()
        .out_dir(out)
        .input(PROTO)
        .include("protos")
        .rust_protobuf()
        .rust_protobuf_customize(ProtobufCustomize::default().gen_mod_rs(false))
        .customize(Customize { async_all: true, ..Default::default() })
        .run()?;
    for name in ["nri.rs", "nri_ttrpc.rs"] {
        let path = out.join(name);
        let text = std::fs::read_to_string(&path)?;
        std::fs::write(&path, without_inner_attributes(&text))?;
    }
    Ok(())
}

/// `include!` takes neither inner attributes nor inner documentation; both are dropped here, and
/// `src/nri/api.rs` states the lints it allows itself.
fn without_inner_attributes(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("#![") && !line.starts_with("//!"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Sets `BERTH_COMMIT`. An environment variable of that name wins, for builds without `.git`.
///
/// There is no mark for uncommitted changes: cargo would have to run this script at every build to
/// keep it true.
fn announce_commit() {
    println!("cargo:rerun-if-env-changed=BERTH_COMMIT");
    let commit = std::env::var("BERTH_COMMIT")
        .ok()
        .filter(|given| !given.is_empty())
        .or_else(commit_of_this_tree)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=BERTH_COMMIT={commit}");
}

/// The short commit, only if the repository is this crate's own: an unpacked crate below somebody
/// else's checkout must not carry that checkout's commit.
fn commit_of_this_tree() -> Option<String> {
    let here = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?) != here {
        return None;
    }
    // The log of HEAD grows with every commit and checkout; HEAD itself only changes at a checkout.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}
