//! The pod's network, handed through to the guest by Kata's model `tcfilter`: whatever comes in at `eth0` goes out at a
//! TAP, and the other way round.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::report::{Result, Told};

pub(crate) const TAP: &str = "tap0_vmlike";
const ETH: &str = "eth0";

/// What the guest's interface takes over from the pod's.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) mac: String,
    /// With the length of its prefix.
    pub(crate) address: String,
    pub(crate) gateway: String,
}

/// Moves this process, which has one thread, into the network namespace at `path`.
#[allow(clippy::disallowed_methods, reason = "there is no other thread, and the process is about to end")]
pub(crate) fn enter(path: &Path) -> Result<()> {
    let what = || format!("enter the network namespace {}", path.display());
    let netns = File::open(path).told(what())?;
    setns(netns, CloneFlags::CLONE_NEWNET).told(what())
}

/// Makes the TAP and connects it with the pod's interface.
pub(crate) fn connect() -> Result<Link> {
    let link = link()?;
    run(&format!("ip tuntap add dev {TAP} mode tap"))?;
    run(&format!("ip link set {TAP} up"))?;
    for (from, to) in [(ETH, TAP), (TAP, ETH)] {
        run(&format!("tc qdisc add dev {from} ingress"))?;
        let redirect = format!("u32 match u32 0 0 action mirred egress redirect dev {to}");
        run(&format!("tc filter add dev {from} parent ffff: protocol all {redirect}"))?;
    }
    Ok(link)
}

pub(crate) fn is_connected() -> bool {
    run(&format!("ip link show {TAP}")).is_ok()
}

/// Takes back what [`connect`] did.
pub(crate) fn disconnect() -> Result<()> {
    run(&format!("tc qdisc delete dev {ETH} ingress"))?;
    run(&format!("ip link delete {TAP}")).map(drop)
}

fn link() -> Result<Link> {
    let interface = &json(&format!("ip -json address show dev {ETH}"))?[0];
    let route = &json("ip -json route show default")?[0];
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(format!("{ETH} is not configured: {interface}"));
    let mut addresses = interface["addr_info"].as_array().into_iter().flatten();
    let address = addresses.find(|address| address["family"] == "inet").unwrap_or(&Value::Null);
    Ok(Link {
        mac: text(&interface["address"])?,
        address: format!("{}/{}", text(&address["local"])?, address["prefixlen"]),
        gateway: text(&route["gateway"])?,
    })
}

fn json(command: &str) -> Result<Value> {
    serde_json::from_str(&run(command)?).told(command)
}

fn run(command: &str) -> Result<String> {
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let done = Command::new(program).args(words).output().told(command)?;
    if !done.status.success() {
        return Err(format!("{command}: {}", String::from_utf8_lossy(&done.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
