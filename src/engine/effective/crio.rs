//! What `crio status config` and `crio config` print. Pure.

use super::{Effective, Handler, Nri, Source, Validator, flag, owned, path, string, strings, table};
use std::path::PathBuf;
use toml_edit::{DocumentMut, Item, TableLike};

/// Settings that `crio config` prints as a comment where they are at their default. Each is of the section under whose
/// heading its line is.
const QUIET: [(&str, &[&str]); 3] = [
    ("[crio.api]", &["listen"]),
    ("[crio.runtime]", &["drop_infra_ctr", "default_runtime"]),
    ("[crio.nri]", &["enable_nri", "nri_listen", "nri_plugin_dir", "nri_plugin_config_dir", "nri_disable_connections"]),
];

/// `crio config` with the defaults that are asked for here as settings. What else is there stays as it is.
pub(super) fn with_defaults(text: &str) -> String {
    let mut quiet: &[&str] = &[];
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            quiet = QUIET.iter().find(|(section, _)| *section == line).map_or(&[], |(_, keys)| keys);
        }
        let said =
            line.strip_prefix("# ").filter(|rest| rest.split_once(" = ").is_some_and(|(key, _)| quiet.contains(&key)));
        lines.push(said.unwrap_or(line));
    }
    lines.join("\n")
}

pub(super) fn read(source: Source, document: &DocumentMut) -> Effective {
    let root: &dyn TableLike = document.as_table();
    let runtime = table(root, &["crio", "runtime"]);
    let runtimes = runtime.and_then(|runtime| table(runtime, &["runtimes"]));
    let handlers = runtimes.map(|runtimes| {
        let named = |(name, item): (&str, &Item)| Some((name.to_owned(), handler(item.as_table_like()?)));
        runtimes.iter().filter_map(named).collect()
    });
    Effective {
        source,
        version: None,
        imports: Vec::new(),
        cri: true,
        handlers: handlers.unwrap_or_default(),
        default_handler: runtime.and_then(|runtime| string(runtime, "default_runtime")).unwrap_or_default(),
        nri: nri(table(root, &["crio", "nri"])),
        socket: table(root, &["crio", "api"]).and_then(|api| path(api, "listen")),
        drops_infra: runtime.and_then(|runtime| flag(runtime, "drop_infra_ctr")).unwrap_or(true),
    }
}

fn handler(told: &dyn TableLike) -> Handler {
    Handler {
        kind: string(told, "runtime_type").unwrap_or_else(|| "oci".to_owned()),
        runtime_path: path(told, "runtime_path"),
        binary_name: None,
        runtime_root: path(told, "runtime_root"),
        snapshotter: None,
        monitor_env: strings(told, "monitor_env"),
        raw: owned(told),
    }
}

/// On by default since 1.30; a CRI-O without the section has none.
fn nri(told: Option<&dyn TableLike>) -> Nri {
    let place = |key, usual: &str| told.and_then(|told| path(told, key)).unwrap_or_else(|| PathBuf::from(usual));
    let validator = told.and_then(|told| table(told, &["default_validator"]));
    Nri {
        enabled: told.and_then(|told| flag(told, "enable_nri")).unwrap_or(false),
        known: told.is_some(),
        connections: told.and_then(|told| flag(told, "nri_disable_connections")) != Some(true),
        socket: place("nri_listen", "/var/run/nri/nri.sock"),
        plugins: place("nri_plugin_dir", "/opt/nri/plugins"),
        configs: place("nri_plugin_config_dir", "/etc/nri/conf.d"),
        validator: validator
            .map(|told| Validator {
                enabled: flag(told, "nri_enable_default_validator").unwrap_or(false),
                rejects_namespaces: flag(told, "nri_validator_reject_namespace_adjustment").unwrap_or(false),
                required: strings(told, "nri_validator_required_plugins"),
                tolerating: string(told, "nri_validator_tolerate_missing_plugins_annotation"),
            })
            .unwrap_or_default(),
    }
}
