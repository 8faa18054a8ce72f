//! `berth completion`

use clap::{Args, ValueEnum};

/// `berth completion`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth completion bash > /etc/bash_completion.d/berth
  berth completion zsh > /usr/local/share/zsh/site-functions/_berth
  berth completion fish > /etc/fish/completions/berth.fish

In a shell that runs already, bash: source <(berth completion bash)")]
pub struct Completion {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Shells that can be told how berth's command line goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash, with or without the package bash-completion.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}
