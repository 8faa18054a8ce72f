//! Files that berth has made: its own beside the engine's, and a root file where there was none.

use super::{EditError, Input, Kind, OWN, Toml, cri, crio, handler};

/// The first line of a root file where there was none.
const MADE: &str = "# Made by berth install, where there was no file, and removed by berth uninstall.";

/// The names of the handlers in berth's own file.
pub(super) fn owned(input: &Input) -> Result<Vec<String>, EditError> {
    let Some(text) = own_text(input) else { return Ok(Vec::new()) };
    let file = Toml::read(&input.dropin.path, text)?;
    Ok(match input.kind {
        Kind::Containerd => cri::declared(&file),
        Kind::CriO => handler::names_at(&file, &crio::KEYS),
    })
}

/// What is in berth's own file, if it is berth's.
pub(super) fn own_text(input: &Input) -> Option<&str> {
    input.dropin.text.as_deref().filter(|text| text.starts_with(OWN))
}

/// Nobody else's file is in the place of berth's own.
pub(super) fn check_place(input: &Input) -> Result<(), EditError> {
    if input.dropin.text.is_some() && own_text(input).is_none() {
        return Err(EditError::Foreign { path: input.dropin.path.clone() });
    }
    Ok(())
}

/// A root file that says its version and nothing else.
pub(super) fn root(version: i64) -> String {
    format!("{MADE}\nversion = {version}\n")
}

/// What is left of a root file from which berth's pieces are gone: nothing if berth has made it and nobody else has put
/// anything in.
pub(super) fn root_left(text: String, version: i64) -> Option<String> {
    if text == root(version) {
        return None;
    }
    let rest = text.strip_prefix(MADE).map(|rest| rest.trim_start_matches(['\r', '\n']).to_owned());
    Some(rest.unwrap_or(text))
}
