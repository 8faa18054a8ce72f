//! What `containerd config dump` prints. Pure.

use super::{Effective, Handler, Nri, Source, Validator, flag, owned, path, string, strings, table};
use std::path::PathBuf;
use toml_edit::{DocumentMut, Item, TableLike};

/// The plugin that has the handlers: of version 2, and from version 3 on.
const CRI: [&str; 2] = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
const NRI: &str = "io.containerd.nri.v1.nri";

pub(super) fn read(source: Source, document: &DocumentMut) -> Effective {
    let root: &dyn TableLike = document.as_table();
    let cri = CRI.iter().find_map(|name| table(root, &["plugins", name, "containerd"]));
    let disabled = strings(root, "disabled_plugins");
    let off = |name: &str| {
        disabled.iter().any(|plugin| plugin == name || name.strip_prefix("io.containerd.grpc.v1.") == Some(plugin))
    };
    let handlers = cri.and_then(|cri| table(cri, &["runtimes"])).map(|runtimes| {
        let named = |(name, item): (&str, &Item)| Some((name.to_owned(), handler(item.as_table_like()?)));
        runtimes.iter().filter_map(named).collect()
    });
    // Version 4 has a plugin for each of its servers.
    let server = table(root, &["plugins", "io.containerd.server.v1.grpc"]).or_else(|| table(root, &["grpc"]));
    Effective {
        source,
        version: root.get("version").and_then(Item::as_integer),
        imports: strings(root, "imports"),
        cri: cri.is_some() && !CRI.iter().any(|name| off(name)),
        handlers: handlers.unwrap_or_default(),
        default_handler: cri.and_then(|cri| string(cri, "default_runtime_name")).unwrap_or_default(),
        nri: nri(table(root, &["plugins", NRI]), off(NRI)),
        socket: server.and_then(|server| path(server, "address")),
        drops_infra: false,
    }
}

fn handler(told: &dyn TableLike) -> Handler {
    Handler {
        kind: string(told, "runtime_type").unwrap_or_default(),
        runtime_path: path(told, "runtime_path"),
        binary_name: table(told, &["options"]).and_then(|options| path(options, "BinaryName")),
        runtime_root: None,
        snapshotter: string(told, "snapshotter"),
        monitor_env: Vec::new(),
        raw: owned(told),
    }
}

/// A containerd without the section has no NRI that is on: 1.6 none that is spoken here, 1.7 one that is off by default and
/// says so.
fn nri(told: Option<&dyn TableLike>, disabled: bool) -> Nri {
    let place = |key, usual: &str| told.and_then(|told| path(told, key)).unwrap_or_else(|| PathBuf::from(usual));
    let validator = told.and_then(|told| table(told, &["default_validator"]));
    Nri {
        enabled: !disabled && told.is_some_and(|told| flag(told, "disable") != Some(true)),
        known: told.is_some(),
        connections: told.and_then(|told| flag(told, "disable_connections")) != Some(true),
        socket: place("socket_path", "/var/run/nri/nri.sock"),
        plugins: place("plugin_path", "/opt/nri/plugins"),
        configs: place("plugin_config_path", "/etc/nri/conf.d"),
        validator: validator
            .map(|told| Validator {
                enabled: flag(told, "enable").unwrap_or(false),
                rejects_namespaces: flag(told, "reject_namespace_adjustment").unwrap_or(false),
                required: strings(told, "required_plugins"),
                tolerating: string(told, "tolerate_missing_plugins_annotation"),
            })
            .unwrap_or_default(),
    }
}
