//! berth's own configuration, and the copy of it that interposers fall back on.

use super::{Node, handlers};
use crate::config::{Config, ConfigError, PUBLISHED};
use crate::exit::chain;
use crate::finding::Finding;
use crate::ledger;

pub(super) const CONFIG: &str = "configuration";
pub(super) const PUBLISHED_COPY: &str = "published-configuration";

/// It is valid, and it selects something.
pub(super) fn config(node: &Node) -> Vec<Finding> {
    let config = match &node.config {
        Ok(config) => config,
        Err(error @ ConfigError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied && !node.privileges.root =>
        {
            return vec![Finding::skip(CONFIG, format!("{}; run as root", chain(error)))];
        }
        Err(error) => {
            let hint = "correct it: berth config check FILE names every mistake with its line; without a file the defaults hold";
            return vec![Finding::fail(CONFIG, chain(error), hint)];
        }
    };
    let what = format!(
        "{}: {} profiles, {} interposers",
        config.origin,
        config.policy.profiles.len(),
        config.interposers.len()
    );
    let Some(effective) = node.effective() else { return vec![Finding::pass(CONFIG, what)] };
    let selected: Vec<_> =
        effective.handlers.keys().filter(|handler| selects(config, handler)).map(String::as_str).collect();
    vec![if selected.is_empty() && !selects(config, "") && node.wrapped().is_empty() {
        Finding::warn(
            CONFIG,
            format!("{what}; none of the engine's handlers is selected"),
            format!("add a handler to the engine, or set match.runtimeHandlers in {}", handlers::config_file(node)),
        )
    } else {
        Finding::pass(CONFIG, format!("{what}; selected handlers: {}", selected.join(", ")))
    }]
}

/// Some profile is for pods of this handler. While berth's configuration is broken every handler with a name counts.
pub(super) fn is_selected(node: &Node, handler: &str) -> bool {
    node.config.as_ref().map_or(!handler.is_empty(), |config| selects(config, handler))
}

fn selects(config: &Config, handler: &str) -> bool {
    config.policy.profiles.iter().any(|profile| profile.handlers.matches(handler))
}

/// What the daemon has left for interposers is what the file says.
pub(super) fn published(node: &Node) -> Vec<Finding> {
    let state = node.here(&node.state_dir);
    if ledger::check_owner(&state).is_err() {
        return vec![Finding::skip(
            PUBLISHED_COPY,
            format!("{} is not there, or not to be trusted", node.state_dir.display()),
        )];
    }
    let shown = node.state_dir.join(PUBLISHED);
    let shown = shown.display();
    vec![match (Config::load_published(&state), &node.config) {
        (Err(error), _) if error.is_not_found() => {
            Finding::pass(PUBLISHED_COPY, "none: interposers read the file, or have the defaults")
        }
        (Err(ConfigError::Io { source, .. }), _) if !node.privileges.root => {
            Finding::skip(PUBLISHED_COPY, format!("{shown}: {source}; run as root"))
        }
        (Err(error), Ok(config)) if config.is_from_file() => Finding::warn(
            PUBLISHED_COPY,
            format!("{}; interposers fall back on it if the file breaks", chain(&error)),
            "restart berth's daemon, which writes it anew",
        ),
        (Err(error), _) => Finding::fail(
            PUBLISHED_COPY,
            format!("{}; interposers refuse creations", chain(&error)),
            format!("restart berth's daemon, which writes it anew, or remove {shown}"),
        ),
        (Ok(_), Err(_)) => Finding::warn(
            PUBLISHED_COPY,
            format!("interposers live on {shown}, the last good one"),
            "correct the configuration before the node is restarted",
        ),
        (Ok(copy), Ok(config)) if copy.hash == config.hash => {
            Finding::pass(PUBLISHED_COPY, format!("{shown} is the same"))
        }
        (Ok(_), Ok(config)) if config.is_from_file() => Finding::warn(
            PUBLISHED_COPY,
            format!("{shown} is another one than {}: interposers and daemon disagree", config.origin),
            "restart berth's daemon, or have it reload the file: kill -HUP",
        ),
        (Ok(_), Ok(_)) => {
            Finding::pass(PUBLISHED_COPY, format!("{shown} holds for interposers; the daemon has it from elsewhere"))
        }
    }]
}
