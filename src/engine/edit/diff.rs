//! A change for reading.

use std::path::Path;

/// What is in the names of settings that hold credentials: of registries, their headers, proxies.
const CREDENTIALS: [&str; 5] = ["password", "auth", "token", "secret", "credential"];
/// What stands for a value.
const HIDDEN: &str = "(not shown)";

/// As `diff -u` prints it, without credentials: a plan is read over shoulders, in logs of pods and in issues.
pub(super) fn unified(path: &Path, before: Option<&str>, after: Option<&str>) -> String {
    let name = |text: Option<&str>| text.map_or_else(|| "/dev/null".to_owned(), |_| path.display().to_string());
    let mut options = diffy::DiffOptions::new();
    options.set_original_filename(name(before)).set_modified_filename(name(after));
    let patch = options.create_patch(before.unwrap_or_default(), after.unwrap_or_default());
    if patch.hunks().is_empty() {
        return String::new();
    }
    patch.to_string().split_inclusive('\n').map(shown).collect()
}

/// A line, or the setting in it alone.
fn shown(line: &str) -> String {
    let Some((setting, value)) = line.split_once('=') else { return line.to_owned() };
    let end = &value[value.trim_end_matches(['\r', '\n']).len()..];
    let lower = line.to_lowercase();
    let tells = CREDENTIALS.iter().any(|word| lower.contains(word)) || has_userinfo(value);
    if tells { format!("{setting}= {HIDDEN}{end}") } else { line.to_owned() }
}

/// A URL with a user in it, who may have a password.
fn has_userinfo(value: &str) -> bool {
    let authority = |rest: &str| rest.split(['/', '\'', '"']).next().is_some_and(|authority| authority.contains('@'));
    value.split("://").skip(1).any(authority)
}
