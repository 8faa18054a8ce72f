//! Versions, as engines print them. Pure.

use std::fmt;

/// The version of an engine's release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As it was printed, without a leading `v`.
    pub text: String,
    /// Major, minor, patch.
    pub core: (u64, u64, u64),
}

impl Version {
    /// The version in what `--version` prints: `containerd github.com/containerd/containerd v1.7.35 <commit>`,
    /// `crio version 1.36.3`. The first word that begins with three numbers is it.
    #[must_use]
    pub fn in_words(text: &str) -> Option<Self> {
        text.lines().next()?.split_whitespace().find_map(Self::parse)
    }

    /// `2.3.4`, `v2.4.0-beta.0`, `1.6.20~ds1`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let text = word.strip_prefix('v').unwrap_or(word);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.');
        let mut number = || numbers.next()?.parse().ok();
        Some(Self { core: (number()?, number()?, number()?), text: text.to_owned() })
    }

    /// Major and minor.
    #[must_use]
    pub fn minor(&self) -> (u64, u64) {
        (self.core.0, self.core.1)
    }
}

/// This containerd takes a handler's `runtime_path` and does nothing with it. The setting is read from 1.6.21 on, and on
/// from 1.7.1.
#[must_use]
pub fn ignores_runtime_path(containerd: (u64, u64, u64)) -> bool {
    containerd < (1, 6, 21) || containerd == (1, 7, 0)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_engines_print() {
        for (text, core) in [
            ("containerd github.com/containerd/containerd/v2 v2.3.4 \n", (2, 3, 4)),
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n", (1, 6, 20)),
            ("containerd github.com/k3s-io/containerd v2.1.4-k3s1 \n", (2, 1, 4)),
            ("crio version 1.36.3\n   GitCommit:      unknown\n", (1, 36, 3)),
            ("containerd github.com/containerd/containerd/v2 v2.4.0-beta.0 abc\n", (2, 4, 0)),
        ] {
            assert_eq!(Version::in_words(text).map(|version| version.core), Some(core), "{text}");
        }
        for text in ["", "containerd\n", "version unknown\n", "1.2\n"] {
            assert_eq!(Version::in_words(text), None, "{text}");
        }
    }
    #[test]
    fn a_runtime_path_is_heeded_from_two_releases_on() {
        for (version, ignored) in
            [((1, 6, 20), true), ((1, 6, 21), false), ((1, 7, 0), true), ((1, 7, 1), false), ((2, 0, 0), false)]
        {
            assert_eq!(ignores_runtime_path(version), ignored, "{version:?}");
        }
    }
}
