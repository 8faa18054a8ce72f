//! `berth list`

use super::{ConfigFile, Directories};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

/// `berth list`
#[derive(Debug, Args)]
pub struct List {
    /// Only these: a pod, namespace/pod, the beginning of a sandbox id, or a pin.
    #[arg(value_name = "POD", value_parser = NonEmptyStringValueParser::new())]
    pub pods: Vec<String>,
    /// Only pods of this Kubernetes namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Only pins in this state; may be repeated.
    #[arg(long, value_enum)]
    pub state: Vec<State>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Leave out the line with the names of the columns.
    #[arg(long)]
    pub no_headers: bool,
    /// Configuration, for hostProc.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Table,
    /// For reading, with everything.
    Wide,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
    /// Only names, one a line, as other commands take them.
    Name,
}

/// How a pin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// It holds the namespace of its record.
    Pinned,
    /// So it does, and the engine has given the namespace up: it goes when the last task does.
    Draining,
    /// It has no record.
    Orphan,
    /// Its file is there and nothing is mounted on it.
    HalfMade,
    /// There is a record and no pin.
    Gone,
    /// Something that berth did not make is in its place.
    Foreign,
    /// Its record cannot be read by this berth.
    Unreadable,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Draining => "draining",
            Self::Orphan => "orphan",
            Self::HalfMade => "half-made",
            Self::Gone => "gone",
            Self::Foreign => "foreign",
            Self::Unreadable => "unreadable",
        }
    }
}
