//! A guest: its machine, its agent, and who is in it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::config::Config;
use crate::machine::{self, AGENT, CONSOLE, MONITOR, NETDEV};
use crate::network::Link;
use crate::report::{Result, Told, note};

const GUESTS: &str = "/run/vmlike/guests";
/// What the guest's first process says when it takes orders.
const READY: &str = "the guest is ready";
/// Two seconds are usual, on a busy machine many times that; the tests' calls wait for a minute.
const BOOT_LIMIT: Duration = Duration::from_secs(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

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
        let mut qemu = machine::qemu(config, link, &self.sandbox, &self.dir)?.spawn().told(config.qemu.display())?;
        fs::write(self.dir.join("pid"), qemu.id().to_string()).told("the guest's pid")?;
        let begin = Instant::now();
        self.await_ready(&mut qemu).inspect_err(|_| {
            qemu.kill().ok();
            qemu.wait().ok();
        })?;
        note(&format!("boot {}: the guest was ready after {} ms", self.sandbox, begin.elapsed().as_millis()));
        Ok(())
    }

    fn await_ready(&self, qemu: &mut Child) -> Result<()> {
        let end = Instant::now() + BOOT_LIMIT;
        while !self.said(CONSOLE).contains(READY) {
            let ended = qemu.try_wait().told("wait for QEMU")?;
            if ended.is_some() || Instant::now() > end {
                let state = ended.map_or("still boots".to_owned(), |status| status.to_string());
                let said = [machine::LOG, CONSOLE].map(|file| self.said(file)).concat();
                return Err(format!("the guest did not boot ({state}): {said}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn said(&self, file: &str) -> String {
        fs::read(self.dir.join(file)).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Gives the guest an order and waits until it has carried it out.
    fn order(&self, order: &str) -> Result<()> {
        match self.say(AGENT, &[order])?.as_slice() {
            [answer] if answer == "ok" => Ok(()),
            answer => Err(format!("the guest of sandbox {} was told to {order} and answers {answer:?}", self.sandbox)),
        }
    }

    /// Pulls the plug of its network interface. QEMU would read in vain from a TAP that is gone, without a pause.
    pub(crate) fn unplug(&self) -> Result<()> {
        let unplug = json!({ "execute": "netdev_del", "arguments": { "id": NETDEV } }).to_string();
        // The first answer is the greeting, which comes by itself.
        let answers = self.say(MONITOR, &["", r#"{"execute":"qmp_capabilities"}"#, &unplug])?;
        let failed = answers.iter().find(|answer| answer.contains("\"error\""));
        failed.map_or(Ok(()), |answer| Err(format!("QEMU's monitor: {answer}")))
    }

    /// Says lines at a socket of the machine, each when the one before has been answered with one; the answers.
    fn say(&self, socket: &str, lines: &[&str]) -> Result<Vec<String>> {
        let what = || format!("{socket} of the guest of sandbox {}", self.sandbox);
        let mut stream = UnixStream::connect(self.dir.join(socket)).told(what())?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).told(what())?;
        let mut answers = BufReader::new(stream.try_clone().told(what())?).lines();
        let say = |line| {
            writeln!(stream, "{line}").told(what())?;
            answers.next().ok_or(format!("{}: closed", what()))?.told(what())
        };
        lines.iter().map(say).collect()
    }

    /// Has it run a container's process. The words are the shell's, so they are put in quotes.
    pub(crate) fn run(&self, container: &str, words: &[String]) -> Result<()> {
        if words.iter().any(|word| word.contains('\n')) {
            return Err("an order to the guest is one line, and the process has arguments of several".into());
        }
        let quoted: Vec<_> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        self.order(&format!("run {container} {}", quoted.join(" ")))
    }

    /// Ends a container's process.
    pub(crate) fn kill(&self, container: &str, signal: i32) -> Result<()> {
        self.order(&format!("kill {container} {signal}"))
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
