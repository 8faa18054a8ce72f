//! What the name under which berth is run says. Pure.

use std::ffi::OsStr;
use std::path::Path;

/// berth's own name, under which it takes commands.
const OWN: &str = "berth";
/// What every containerd shim's name begins with.
const SHIM: &str = "containerd-shim-";
/// What makes a name an interposer's.
const MARK: &str = "berth-";

/// The command line that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// A containerd shim's.
    Shim,
    /// An OCI runtime's.
    Runtime,
}

/// The name in argv\[0\], if it is one under which berth can be an interposer.
#[must_use]
pub(super) fn of(argv0: &OsStr) -> Option<&str> {
    Path::new(argv0).file_name().and_then(OsStr::to_str).filter(|name| *name != OWN)
}

/// The name of the program that an interposer of this name wraps: `berth-<x>` wraps `<x>`, and
/// `containerd-shim-berth-<x>-vN` wraps `containerd-shim-<x>-vN`.
#[must_use]
pub fn wrapped(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix(SHIM).and_then(|rest| rest.strip_prefix(MARK)) {
        let shim = format!("{SHIM}{rest}");
        return is_shim(&shim).then_some(shim);
    }
    name.strip_prefix(MARK).filter(|rest| !rest.is_empty()).map(str::to_owned)
}

/// The command line for an interposer of this name before `delegate`: a shim's if one of the two is called like one.
#[must_use]
pub fn grammar(name: &str, delegate: Option<&Path>) -> Grammar {
    let delegate = delegate.and_then(Path::file_name).and_then(OsStr::to_str);
    let wrapped = wrapped(name);
    let names = [Some(name), delegate, wrapped.as_deref()];
    if names.into_iter().flatten().any(is_shim) { Grammar::Shim } else { Grammar::Runtime }
}

/// `containerd-shim-<x>-v<number>`.
fn is_shim(name: &str) -> bool {
    let rest = name.strip_prefix(SHIM).and_then(|rest| rest.rsplit_once("-v"));
    rest.is_some_and(|(x, version)| {
        !x.is_empty() && !version.is_empty() && version.bytes().all(|digit| digit.is_ascii_digit())
    })
}
