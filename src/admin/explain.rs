//! `berth explain`: what an interposer would do with a bundle.

use super::AdminError;
use super::output::{Form, document, table};
use crate::cli::{Document, Explain};
use crate::door::interpose::{self, Explained, Places, Question};
use crate::exit::Exit;
use std::io::Write;

/// Writes the answer; changes nothing.
///
/// # Errors
/// The bundle cannot be read, its container cannot be told, or `out` cannot be written.
pub fn explain(command: Explain, out: &mut dyn Write) -> Result<Exit, AdminError> {
    let places = Places {
        config: command.config.path,
        state_dir: command.directories.state_dir,
        netns_dir: command.directories.netns_dir,
    };
    let question =
        Question { bundle: command.bundle, name: command.name, id: command.id, root: command.root, entry: None };
    let explained = interpose::explain(&question, &places.load()?, places)?;
    match command.output {
        Document::Json => document(out, Form::Json, &explained)?,
        Document::Yaml => document(out, Form::Yaml, &explained)?,
        Document::Text => table(out, &rows(&explained))?,
    }
    Ok(Exit::Ok)
}

fn rows(explained: &Explained) -> Vec<Vec<String>> {
    let path = |path: &Option<String>| path.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![
        vec!["config".to_owned(), explained.config.display().to_string()],
        vec!["verdict".to_owned(), explained.verdict.to_owned()],
        vec!["reason".to_owned(), explained.reason.to_owned()],
    ];
    let mut row = |key: &str, value: String| rows.push(vec![key.to_owned(), value]);
    explained.refusal.iter().for_each(|refusal| row("refusal", refusal.clone()));
    row("profile", path(&explained.profile));
    explained.facts.iter().for_each(|(key, value)| row(key, value.clone()));
    explained.container.iter().for_each(|name| row("container", name.clone()));
    explained.identity.iter().for_each(|(key, value)| row("annotation", format!("{key}={value}")));
    explained.written.iter().for_each(|(key, value)| row("written", format!("{key}={value}")));
    explained.corrected.iter().for_each(|(key, value)| row("corrected", format!("{key}={value}")));
    explained.removed.iter().for_each(|key| row("removed", key.clone()));
    explained.contradictions.iter().for_each(|key| row("contradiction", key.clone()));
    row("path before", path(&explained.path_before));
    row("path after", path(&explained.path_after));
    rows
}
