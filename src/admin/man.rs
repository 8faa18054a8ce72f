//! `berth man`: the manual, one page per command, from the definitions that its help is from.

use super::AdminError;
use crate::cli::{self, Cli};
use crate::exit::Exit;
use crate::fsutil::FileError;
use clap::CommandFactory;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::Path;

/// The section of the manual: commands.
const SECTION: &str = "1";

/// What the examples in a command's help begin with.
const EXAMPLES: &str = "Examples:";

/// Writes the main page, or every page into a directory.
///
/// # Errors
/// A file or `out` cannot be written.
pub fn man(command: cli::Man, out: &mut dyn Write) -> Result<Exit, AdminError> {
    // `berth help list` is no command with a page of its own.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    match command.dir {
        None => out.write_all(&page(&root, None)?)?,
        Some(dir) => {
            std::fs::create_dir_all(&dir).map_err(FileError::new("make directory", &dir))?;
            pages(&root, None, &dir)?;
        }
    }
    Ok(Exit::Ok)
}

/// The pages of `command` and of all below it.
fn pages(command: &clap::Command, parent: Option<&clap::Command>, dir: &Path) -> Result<(), AdminError> {
    let path = dir.join(format!("{}.{SECTION}", name(command)));
    std::fs::write(&path, page(command, parent)?).map_err(FileError::new("write", &path))?;
    command.get_subcommands().try_for_each(|below| pages(below, Some(command), dir))
}

fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &clap::Command, parent: Option<&clap::Command>) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).section(SECTION);
    let mut page = Vec::new();
    // Not by `render_title`, which leaves an empty date out and so moves what follows. There is none, so that one build
    // is like another.
    writeln!(
        page,
        ".TH \"{}\" \"{SECTION}\" \"\" \"berth {}\" \"berth\"",
        escaped(name(command)).trim_start(),
        crate::VERSION
    )?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let remarks = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let paragraphs = remarks.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    let (examples, notes): (Vec<_>, Vec<_>) = paragraphs.partition(|paragraph| paragraph.starts_with(EXAMPLES));
    for examples in examples {
        section(&mut page, "EXAMPLES", &format!(".nf{}\n.fi", escaped(&examples[EXAMPLES.len()..])))?;
    }
    if !notes.is_empty() {
        let notes: Vec<_> = notes.into_iter().map(escaped).collect();
        section(&mut page, "NOTES", notes.join("\n.PP").trim_start())?;
    }
    let below = command.get_subcommands();
    let related: Vec<_> = parent.into_iter().chain(below).map(|other| format!("{}({SECTION})", name(other))).collect();
    if !related.is_empty() {
        section(&mut page, "SEE ALSO", escaped(&related.join(", ")).trim_start())?;
    }
    Ok(page)
}

fn section(page: &mut Vec<u8>, title: &str, text: &str) -> io::Result<()> {
    writeln!(page, ".SH \"{title}\"\n{text}")
}

/// Text that roff(7) takes as it is: backslashes and hyphens stand for themselves, and no line begins with a control
/// character. Each line begins on a new one.
fn escaped(text: &str) -> String {
    let escape = |line: &str| {
        let line = line.trim_end().replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\n\\&{line}") } else { format!("\n{line}") }
    };
    text.lines().filter(|line| !line.is_empty()).map(escape).collect()
}
