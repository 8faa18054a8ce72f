//! What the operator wants: profiles, and which of them a pod falls under. Pure; read from a file by `config`.

use super::template::Template;
use crate::dialect::Dialect;
use glob::Pattern;
use std::collections::BTreeMap;
use std::fmt;

/// Shell patterns; a leading `!` excludes. Matches what some pattern matches and no excluding one does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Patterns {
    /// Parses a list of patterns. Only exclusions means "everything but these".
    ///
    /// # Errors
    /// Every text that is no pattern: its index and the reason.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<(usize, &'static str)>> {
        let mut patterns = Self::default();
        let mut mistakes = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            let (list, body) = match text.strip_prefix('!') {
                Some(body) => (&mut patterns.exclude, body),
                None => (&mut patterns.include, text),
            };
            match Pattern::new(body) {
                Ok(pattern) => list.push(pattern),
                Err(error) => mistakes.push((index, error.msg)),
            }
        }
        if mistakes.is_empty() { Ok(patterns) } else { Err(mistakes) }
    }

    /// Whether there are only exclusions, which mean "everything but these".
    #[must_use]
    pub fn only_excludes(&self) -> bool {
        self.include.is_empty() && !self.exclude.is_empty()
    }

    /// Whether `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let hit = |list: &[Pattern]| list.iter().any(|pattern| pattern.matches(name));
        let meant = hit(&self.include) || self.only_excludes();
        meant && !hit(&self.exclude)
    }

    /// The patterns as texts that parse to these again; those that exclude come last.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let include = self.include.iter().map(|pattern| pattern.as_str().to_owned());
        include.chain(self.exclude.iter().map(|pattern| format!("!{pattern}")))
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(","))
    }
}

/// What becomes of a container's network namespace path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetnsPolicy {
    /// It is replaced by the pin's.
    Swap,
    /// As `Swap`; and where a new namespace is asked for, berth makes it and pins it.
    Create,
    /// It stays; nothing is pinned.
    Leave,
}

/// What happens when berth cannot do its work for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The container is refused with one sentence that says why.
    Fail,
    /// It is left alone, counted and logged.
    Ignore,
}

/// What happens when a container carries identity keys that contradict the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnContradiction {
    /// They are overwritten or removed, counted and named in the log.
    Correct,
    /// The container is refused.
    Refuse,
}

/// One way to treat the pods that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name in logs and records.
    pub name: String,
    /// Runtime handlers; the default handler is the empty name.
    pub handlers: Patterns,
    /// Kubernetes namespaces.
    pub namespaces: Patterns,
    /// Dialects to write, each as a complete set.
    pub dialects: Vec<Dialect>,
    /// Extra annotations.
    pub annotations: BTreeMap<String, Template>,
    /// Further annotations to remove, by key: switches that an author must not reach.
    pub drop_annotations: Patterns,
    /// The path.
    pub netns: NetnsPolicy,
    /// Failures.
    pub on_failure: OnFailure,
    /// Contradictions.
    pub on_contradiction: OnContradiction,
}

/// All profiles, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The first that matches a pod is the one that holds.
    pub profiles: Vec<Profile>,
}

impl Policy {
    /// The profiles that can hold for what comes through an interposer. Nobody tells it the handler, and being run under
    /// its name is what selects: the profile `named` in its entry; else all, or those for `handler` where the entry says
    /// which it stands for.
    pub fn candidates<'a>(
        &'a self,
        named: Option<&'a str>,
        handler: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Profile> {
        self.profiles.iter().filter(move |profile| match named {
            Some(named) => profile.name == named,
            None => handler.is_none_or(|handler| profile.handlers.matches(handler)),
        })
    }

    /// Of those the first one for pods of `namespace`.
    #[must_use]
    pub fn interposed<'a>(
        &'a self,
        named: Option<&'a str>,
        handler: Option<&'a str>,
        namespace: &str,
    ) -> Option<&'a Profile> {
        self.candidates(named, handler).find(|profile| profile.namespaces.matches(namespace))
    }

    /// The profile for pods of `handler` in `namespace`; `None` means: leave them byte for byte.
    #[must_use]
    pub fn select(&self, handler: &str, namespace: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.handlers.matches(handler) && profile.namespaces.matches(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Patterns {
        Patterns::parse(texts.iter().copied()).expect("patterns")
    }

    #[test]
    fn the_empty_name_is_the_default_handler_and_needs_a_pattern_of_its_own() {
        assert!(!patterns(&["?*"]).matches(""));
        assert!(patterns(&["?*"]).matches("kata"));
        assert!(patterns(&["*"]).matches(""));
        assert!(patterns(&[""]).matches(""));
        assert!(!patterns(&[""]).matches("kata"));
    }

    #[test]
    fn exclusions_win_over_inclusions_in_any_order() {
        assert!(!patterns(&["!kube-*", "*"]).matches("kube-system"));
        assert!(patterns(&["!kube-*"]).matches("default"));
        assert!(!patterns(&["!kube-*"]).matches("kube-system"));
        assert!(!patterns(&[]).matches("anything"));
    }

    fn profile(name: &str, namespaces: &[&str]) -> Profile {
        Profile {
            name: name.into(),
            handlers: patterns(&["never"]),
            namespaces: patterns(namespaces),
            dialects: Vec::new(),
            annotations: BTreeMap::new(),
            drop_annotations: Patterns::default(),
            netns: NetnsPolicy::Swap,
            on_failure: OnFailure::Fail,
            on_contradiction: OnContradiction::Correct,
        }
    }

    #[test]
    fn an_interposer_has_the_named_profile_or_the_first_for_the_namespace_whatever_the_handler() {
        let policy = Policy { profiles: vec![profile("a", &["prod-*"]), profile("b", &["*", "!kube-*"])] };
        let chosen = |named, namespace| policy.interposed(named, None, namespace).map(|profile| profile.name.as_str());
        assert_eq!(chosen(None, "prod-1"), Some("a"));
        assert_eq!(chosen(None, "dev"), Some("b"));
        assert_eq!(chosen(None, "kube-system"), None);
        assert_eq!(chosen(Some("b"), "prod-1"), Some("b"));
        assert_eq!(chosen(Some("a"), "dev"), None);
    }

    #[test]
    fn an_interposer_that_is_told_its_handler_has_the_profile_that_the_nri_door_would_choose() {
        let kata = Profile { handlers: patterns(&["kata"]), ..profile("kata", &["*"]) };
        let policy = Policy { profiles: vec![profile("other", &["*"]), kata] };
        let chosen = |named, handler| policy.interposed(named, handler, "ns").map(|found| found.name.as_str());
        assert_eq!(chosen(None, Some("kata")), policy.select("kata", "ns").map(|found| found.name.as_str()));
        assert_eq!(chosen(None, Some("kata")), Some("kata"));
        assert_eq!(chosen(None, Some("runc")), None);
        assert_eq!(chosen(Some("other"), Some("kata")), Some("other"));
    }

    #[test]
    fn every_broken_pattern_is_named() {
        let mistakes = Patterns::parse(["ok", "!a***", "b***"]).expect_err("broken");
        assert_eq!(mistakes.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
    }
}
