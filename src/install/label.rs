//! The security context of the program, where SELinux is on: that of what it stands in front of.

use super::attributes;
use super::site::Site;
use crate::engine::Host;
use std::fs::File;
use std::path::Path;

/// How the program is labelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Label {
    /// SELinux is off.
    Off,
    /// As another program is.
    Like {
        /// The context.
        context: Vec<u8>,
        /// Whose it is, for people.
        whose: String,
    },
    /// Nobody has a label to take; the host's restorecon is to be asked, if there is one.
    Restorecon,
}

impl Label {
    pub(super) fn context(&self) -> Option<Vec<u8>> {
        if let Self::Like { context, .. } = self { Some(context.clone()) } else { None }
    }

    /// What is said of it.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::Off => None,
            Self::Like { context, whose } => {
                let context = String::from_utf8_lossy(context);
                Some(format!("SELinux: labelled {} as {whose} is", context.trim_end_matches('\0')))
            }
            Self::Restorecon => Some("SELinux: labelled by the host's restorecon".to_owned()),
        }
    }
}

/// The label for a program in front of `delegate`; without one, that of the engine itself.
pub(super) fn of(host: &Host, site: &Site, delegate: Option<&Path>) -> Label {
    if !host.has(Path::new("/sys/fs/selinux/enforce")) {
        return Label::Off;
    }
    let context = |path: &Path| attributes::context(&File::open(host.path(path).ok()?).ok()?).ok()?;
    let known = [delegate, site.engine.program.as_deref()].into_iter().flatten();
    known
        .filter_map(|path| Some((context(path)?, path)))
        .map(|(context, path)| Label::Like { context, whose: path.display().to_string() })
        .next()
        .unwrap_or(Label::Restorecon)
}

/// Has the host's restorecon label these paths; why it could not.
pub(super) fn restore(host: &Host, paths: &[&Path]) -> Result<(), String> {
    let program = host.program("restorecon").ok_or("there is no restorecon on the host; label berth by hand")?;
    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let args: Vec<_> = std::iter::once("-F").chain(paths.iter().map(String::as_str)).collect();
    host.run(&program, &args).map(drop).map_err(|error| crate::exit::chain(&error))
}
