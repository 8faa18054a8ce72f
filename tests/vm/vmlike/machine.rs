//! A guest's machine: no more of one than the guest looks for. Emulated, because that works everywhere. QEMU's `microvm`
//! boots no faster, and its kernel has no clock to measure the processor's by: now and then it hangs on a busy host.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::Config;
use crate::network::{Link, TAP};
use crate::report::{Result, Told};

/// Files in the guest's directory.
pub(crate) const CONSOLE: &str = "console";
pub(crate) const AGENT: &str = "agent.sock";
pub(crate) const MONITOR: &str = "monitor.sock";
pub(crate) const LOG: &str = "qemu.log";
/// The network interface's far end, by QEMU's name.
pub(crate) const NETDEV: &str = "pod";

/// QEMU, to be started in the guest's directory.
pub(crate) fn qemu(config: &Config, link: &Link, sandbox: &str, dir: &Path) -> Result<Command> {
    let (Link { mac, address, gateway }, linger) = (link, config.linger);
    // The guest's first process gets the last four as variables.
    let kernel_line = format!(
        "console=ttyS0 quiet panic=-1 reboot=t mitigations=off \
         sandbox={sandbox} address={address} gateway={gateway} linger={linger}"
    );
    let out = File::create(dir.join(LOG)).told(LOG)?;
    let mut command = Command::new(&config.qemu);
    command
        .current_dir(dir)
        .args(["-machine", "pc", "-accel", "tcg", "-m", "128", "-no-reboot"])
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .arg("-kernel")
        .arg(&config.kernel)
        .arg("-initrd")
        .arg(&config.initrd)
        .args(["-append", &kernel_line])
        .args(["-chardev", &format!("file,id=console,path={CONSOLE}"), "-device", "isa-serial,chardev=console"])
        .args(["-chardev", &format!("socket,id=agent,path={AGENT},server=on,wait=off")])
        .args(["-device", "isa-serial,chardev=agent"])
        .args(["-qmp", &format!("unix:{MONITOR},server=on,wait=off")])
        .args(["-netdev", &format!("tap,id={NETDEV},ifname={TAP},script=no,downscript=no")])
        .args(["-device", &format!("virtio-net-pci,netdev={NETDEV},mac={mac},romfile=")])
        .stdin(Stdio::null())
        .stdout(out.try_clone().told(LOG)?)
        .stderr(out);
    Ok(command)
}
