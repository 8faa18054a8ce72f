//! The report for reading: sections, the shortest first to be asked for.

use super::report::{Container, Process, Report};
use crate::admin::output::{age, indented, none, shown, table};
use crate::door::interpose::Explained;
use crate::netlink::{Interface, NextHop, Route};
use std::io::{self, Write};
use std::time::Duration;

/// How much of a command line is shown.
const WIDTH: usize = 100;

/// The table that routes are in unless somebody has made others.
const MAIN: u32 = 254;

pub(super) fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    table(out, &head(report))?;
    if !report.containers.is_empty() {
        writeln!(out, "\nContainers:")?;
        report.containers.iter().try_for_each(|found| container(out, found))?;
    }
    if let Some(found) = &report.processes {
        section(out, "Processes", &["PID", "COMMAND", "ARGUMENTS"], found.iter().map(process))?;
    }
    if let Some(network) = &report.network {
        let columns = ["NAME", "KIND", "STATE", "MTU", "MAC", "ADDRESSES"];
        section(out, "Interfaces", &columns, network.interfaces.iter().map(interface))?;
        let columns = ["DESTINATION", "GATEWAY", "DEVICE", "SOURCE", "METRIC", "TABLE"];
        section(out, "Routes", &columns, network.routes.iter().flat_map(route))?;
    }
    Ok(())
}

fn head(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![format!("{key}:"), value]);
        }
    };
    if let Some(record) = &report.record {
        if !record.pod.name.is_empty() {
            row("Pod", format!("{}/{}", record.pod.namespace, record.pod.name));
        }
        row("Pod uid", record.pod.uid.clone());
        row("Sandbox", record.sandbox.clone());
        row("Engine", [record.engine.as_str(), &record.scope].join(" ").trim_end().to_owned());
        row("Handler", record.handler.clone());
        row("Doors", report.doors.join(", "));
        row("Profile", record.profile.clone());
        row("Verdict", record.verdict.clone());
        let config = &record.config;
        row("Config", if report.reconfigured { format!("{config} (another one holds now)") } else { config.clone() });
    }
    row("State", report.state.to_owned());
    if let Some(lifecycle) = &report.lifecycle {
        row("Lifecycle", format!("{} ({}): {}", lifecycle.action, lifecycle.reason, lifecycle.proof));
    }
    row("Age", report.age_seconds.map(|seconds| age(Duration::from_secs(seconds))).unwrap_or_default());
    row("Pin", report.path.clone());
    row("Netns", report.netns.clone().unwrap_or_default());
    if let Some(source) = &report.source {
        row("Source", format!("{} ({})", source.path.display(), source.found));
    }
    for mount in &report.mounts {
        row("Mounted on", mount.display().to_string());
    }
    rows
}

/// A title, and a table below it, which says so if it has no rows.
fn section(
    out: &mut dyn Write,
    title: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let header = columns.iter().map(|&title| title.to_owned()).collect();
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    if rows.len() == 1 {
        return writeln!(out, "\n{title}:\n  none");
    }
    writeln!(out, "\n{title}:")?;
    indented(out, "  ", &rows)
}

fn container(out: &mut dyn Write, container: &Container) -> io::Result<()> {
    let Explained { verdict, reason, refusal, profile, facts, path_before, path_after, .. } = &container.explained;
    let role = facts.get("role").map(String::as_str).unwrap_or_default();
    let name = container.explained.container.as_deref().unwrap_or_default();
    writeln!(out, "  {}", shown(&[role, name, &container.id].join(" ").replace("  ", " ")))?;
    let state = if container.is_settled() { "nothing is left to do" } else { "not as it would be made" };
    let path = |path: &Option<String>| path.clone().unwrap_or_else(none);
    let mut rows = vec![("bundle", container.bundle.display().to_string())];
    rows.push(("verdict", format!("{verdict} ({reason}); {state}")));
    rows.extend(refusal.iter().map(|refusal| ("refusal", refusal.clone())));
    rows.push(("profile", path(profile)));
    rows.push(("path", path(path_before)));
    if path_before != path_after {
        rows.push(("would be", path(path_after)));
    }
    rows.extend(annotations(&container.explained));
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
    indented(out, "    ", &rows)
}

fn annotations(explained: &Explained) -> Vec<(&'static str, String)> {
    let pair = |(key, value): (&String, &String)| format!("{key}={value}");
    let mut rows = Vec::new();
    rows.extend(explained.identity.iter().map(|entry| ("annotation", pair(entry))));
    rows.extend(explained.written.iter().map(|entry| ("missing", pair(entry))));
    rows.extend(explained.corrected.iter().map(|entry| ("wrong", pair(entry))));
    rows.extend(explained.removed.iter().map(|key| ("superfluous", key.clone())));
    rows.extend(explained.contradictions.iter().map(|key| ("contradiction", key.clone())));
    rows
}

fn process(process: &Process) -> Vec<String> {
    let line = process.arguments.join(" ");
    let short: String = line.chars().take(WIDTH).collect();
    let line = if short.len() < line.len() { format!("{short}…") } else { line };
    vec![process.pid.to_string(), process.command.clone().unwrap_or_else(none), line]
}

fn interface(interface: &Interface) -> Vec<String> {
    let state = if interface.up { interface.state.clone() } else { "off".to_owned() };
    vec![
        interface.name.clone(),
        interface.kind.clone().unwrap_or_else(none),
        state,
        interface.mtu.to_string(),
        interface.mac.clone().unwrap_or_else(none),
        if interface.addresses.is_empty() { none() } else { interface.addresses.join(" ") },
    ]
}

/// One line for each way.
fn route(route: &Route) -> Vec<Vec<String>> {
    let nowhere = [NextHop { gateway: None, device: None }];
    let hops = if route.hops.is_empty() { &nowhere[..] } else { &route.hops };
    let to = if route.kind == "unicast" {
        route.destination.clone()
    } else {
        format!("{} {}", route.kind, route.destination)
    };
    let row = |hop: &NextHop| {
        vec![
            to.clone(),
            hop.gateway.clone().unwrap_or_else(none),
            hop.device.clone().unwrap_or_else(none),
            route.source.clone().unwrap_or_else(none),
            route.metric.map_or_else(none, |metric| metric.to_string()),
            if route.table == MAIN { "main".to_owned() } else { route.table.to_string() },
        ]
    };
    hops.iter().map(row).collect()
}
