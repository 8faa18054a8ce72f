//! A guest: its machine, its agent, and who is in it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::network::{Link, TAP};
use crate::report::{Result, Told, note};

const GUESTS: &str = "/run/vmlike/guests";
const CONFIG: &str = "/run/vmlike/config.json";
/// What the guest's first process says when it takes orders.
const READY: &str = "the guest is ready";
/// Two seconds are usual, on a busy machine many times that; the tests' calls wait for a minute.
const BOOT_LIMIT: Duration = Duration::from_secs(50);
const AGENT_LIMIT: Duration = Duration::from_secs(10);

/// The runtime's configuration, as Kata has one.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    qemu: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    /// How many seconds a guest takes to die.
    linger: u32,
    /// Where the process is whose pid a sandbox has.
    pub(crate) pause: Pause,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pause {
    /// In the pod's network namespace.
    Inside,
    /// In the node's, as where a runtime reports its shim.
    Outside,
}

impl Config {
    pub(crate) fn load() -> Result<Self> {
        let text = fs::read_to_string(CONFIG).told(CONFIG)?;
        serde_json::from_str(&text).told(CONFIG)
    }
}

/// The guest of a sandbox, by its directory.
#[derive(Debug)]
pub(crate) struct Guest {
    sandbox: String,
    dir: PathBuf,
}

impl Guest {
    pub(crate) fn of(sandbox: &str) -> Self {
        Self { sandbox: sandbox.to_owned(), dir: Path::new(GUESTS).join(sandbox) }
    }

    /// Boots it in the network namespace that this process is in, and returns when it takes orders.
    pub(crate) fn boot(&self, config: &Config, link: &Link) -> Result<()> {
        let containers = self.dir.join("containers");
        fs::create_dir_all(&containers).told(containers.display())?;
        let mut qemu = self.qemu(config, link)?.spawn().told(config.qemu.display())?;
        fs::write(self.dir.join("pid"), qemu.id().to_string()).told("the guest's pid")?;
        let begin = Instant::now();
        self.await_ready(&mut qemu).inspect_err(|_| {
            qemu.kill().ok();
            qemu.wait().ok();
        })?;
        note(&format!("boot {}: the guest was ready after {} ms", self.sandbox, begin.elapsed().as_millis()));
        Ok(())
    }

    /// No more of a machine than the guest looks for. Emulated, because that works everywhere. QEMU's `microvm` boots no
    /// faster, and without a clock to measure the processor's by its kernel hangs now and then on a busy host.
    fn qemu(&self, config: &Config, link: &Link) -> Result<Command> {
        let Link { mac, address, gateway } = link;
        let [console, agent] = ["console", "agent.sock"].map(|name| self.dir.join(name).display().to_string());
        let kernel_line = format!(
            "console=ttyS0 quiet panic=-1 reboot=t mitigations=off sandbox={} address={address} gateway={gateway} linger={}",
            self.sandbox, config.linger
        );
        let out = File::create(self.dir.join("qemu.log")).told("qemu.log")?;
        let mut command = Command::new(&config.qemu);
        command
            .args(["-machine", "pc", "-accel", "tcg", "-m", "128", "-no-reboot"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .arg("-kernel")
            .arg(&config.kernel)
            .arg("-initrd")
            .arg(&config.initrd)
            .args(["-append", &kernel_line])
            .args(["-chardev", &format!("file,id=console,path={console}"), "-device", "isa-serial,chardev=console"])
            .args(["-chardev", &format!("socket,id=agent,path={agent},server=on,wait=off")])
            .args(["-device", "isa-serial,chardev=agent"])
            .args(["-netdev", &format!("tap,id=pod,ifname={TAP},script=no,downscript=no")])
            .args(["-device", &format!("virtio-net-pci,netdev=pod,mac={mac},romfile=")])
            .stdin(Stdio::null())
            .stdout(out.try_clone().told("qemu.log")?)
            .stderr(out);
        Ok(command)
    }

    fn await_ready(&self, qemu: &mut Child) -> Result<()> {
        let end = Instant::now() + BOOT_LIMIT;
        while !self.said("console").contains(READY) {
            let ended = qemu.try_wait().told("wait for QEMU")?;
            if ended.is_some() || Instant::now() > end {
                let state = ended.map_or("still boots".to_owned(), |status| status.to_string());
                return Err(format!(
                    "the guest did not boot ({state}): {}{}",
                    self.said("qemu.log"),
                    self.said("console")
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn said(&self, file: &str) -> String {
        fs::read(self.dir.join(file)).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Gives the guest an order and waits until it has carried it out.
    pub(crate) fn order(&self, order: &str) -> Result<()> {
        let what = || format!("agent of the guest of sandbox {}: {order}", self.sandbox);
        let mut agent = UnixStream::connect(self.dir.join("agent.sock")).told(what())?;
        agent.set_read_timeout(Some(AGENT_LIMIT)).told(what())?;
        writeln!(agent, "{order}").told(what())?;
        let mut answer = String::new();
        BufReader::new(agent).read_line(&mut answer).told(what())?;
        if answer.trim() == "ok" { Ok(()) } else { Err(format!("{}: {answer:?}", what())) }
    }

    /// Has it run a container's process. The words are the shell's, so they are put in quotes.
    pub(crate) fn run(&self, container: &str, words: &[String]) -> Result<()> {
        if words.iter().any(|word| word.contains('\n')) {
            return Err("an order to the guest is one line, and the process has arguments of several".into());
        }
        let quoted: Vec<_> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        self.order(&format!("run {container} {}", quoted.join(" ")))
    }

    /// Has it shut down and does not wait for that; one that does not listen is ended.
    pub(crate) fn stop(&self) {
        if self.order("stop").is_err() {
            self.signal(Some(Signal::SIGKILL)).ok();
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.signal(None).is_ok()
    }

    fn signal(&self, signal: Option<Signal>) -> Result<()> {
        let pid = self.said("pid").parse().told("the guest's pid")?;
        kill(Pid::from_raw(pid), signal).told("signal QEMU")
    }

    /// The containers that are in it.
    pub(crate) fn containers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.join("containers")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn add(&self, container: &str) -> Result<()> {
        File::create(self.dir.join("containers").join(container)).told("join the guest").map(drop)
    }

    /// Takes a container out; the last one leaves nothing.
    pub(crate) fn remove(&self, container: &str) {
        fs::remove_file(self.dir.join("containers").join(container)).ok();
        if self.containers().is_empty() {
            self.discard();
        }
    }

    pub(crate) fn discard(&self) {
        fs::remove_dir_all(&self.dir).ok();
    }
}
