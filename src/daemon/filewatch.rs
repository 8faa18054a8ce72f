//! Noticing that a file may have changed: written in place, replaced, removed, or another one at the end of its path.
//!
//! A file's own inode tells little of that: an editor renames a new file over it, and Kubernetes swaps a symbolic link
//! in the directory above. So what is watched is every directory entry on which the path hangs: the file's, those of the
//! directories above, and those of every link on the way, by inotify(7) on the directories that hold them. What mounts
//! do to a path gives no event, and instances can be used up; whoever uses this looks by itself from time to time.

use crate::fsutil::FileError;
use futures::StreamExt;
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Room for the events of one read(2); a name has at most 255 bytes.
const BUFFER: usize = 4096;

/// As the kernel has it for one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// How often a path is resolved anew that changes while it is being watched.
const ATTEMPTS: usize = 3;

/// A watch on what a path was when that was last looked at, by one inotify instance for all its life: to close one keeps
/// the kernel busy for up to 15 ms (it waits for all who walk its lists), which an event loop cannot afford.
pub(super) struct FileWatch {
    path: PathBuf,
    events: EventStream<[u8; BUFFER]>,
    names: HashMap<WatchDescriptor, HashSet<OsString>>,
    /// There are no more events to come.
    over: bool,
}

impl FileWatch {
    /// Watches what `path`, an absolute one, hangs on now. Whatever changes from now on is noticed; so whoever reads the
    /// file after this misses nothing.
    ///
    /// # Errors
    /// No inotify instance or watch is left, or a directory cannot be watched.
    pub(super) fn new(path: &Path) -> Result<Self, FileError> {
        let stream = Inotify::init().and_then(|inotify| inotify.into_event_stream([0; BUFFER]));
        let events = stream.map_err(FileError::new("make an inotify instance to watch", path))?;
        let mut watch = Self { path: path.to_owned(), events, names: HashMap::new(), over: false };
        watch.renew()?;
        Ok(watch)
    }

    /// Watches what the path hangs on by now, and nothing else any more; as [`FileWatch::new`] in what is noticed.
    ///
    /// # Errors
    /// No watch is left, a directory cannot be watched, or there are no more events to come: another one is needed then.
    pub(super) fn renew(&mut self) -> Result<(), FileError> {
        if self.over {
            let source = io::Error::other("the inotify instance gives no more events");
            return Err(FileError::new("watch", &self.path)(source));
        }
        let mut entries = entries(&self.path);
        for _ in 0..ATTEMPTS {
            self.watch(&entries)?;
            let now = self::entries(&self.path);
            if now == entries {
                break;
            }
            entries = now;
        }
        Ok(())
    }

    fn watch(&mut self, entries: &[(PathBuf, OsString)]) -> Result<(), FileError> {
        // Not MODIFY: what is written is of interest when its writer is done with it.
        let mask = WatchMask::CREATE
            | WatchMask::CLOSE_WRITE
            | WatchMask::MOVED_TO
            | WatchMask::MOVED_FROM
            | WatchMask::DELETE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let mut watches = self.events.watches();
        let mut names: HashMap<_, HashSet<_>> = HashMap::new();
        for (directory, name) in entries {
            // The kernel knows a directory again that is watched already, and gives the same descriptor.
            let descriptor = watches.add(directory, mask).map_err(FileError::new("watch", directory))?;
            names.entry(descriptor).or_default().insert(name.clone());
        }
        let before = std::mem::replace(&mut self.names, names);
        for descriptor in before.into_keys().filter(|descriptor| !self.names.contains_key(descriptor)) {
            // It fails where the directory is gone, and its watch with it.
            drop(watches.remove(descriptor));
        }
        Ok(())
    }

    /// Waits until something happens to what is watched, or events were lost. A watch that has told of something is to be
    /// renewed before long: the path may be another by now, and of lost events it tells once.
    pub(super) async fn changed(&mut self) {
        while !self.over {
            match self.events.next().await {
                Some(Ok(event)) if !self.concerns(&event) => {}
                Some(Ok(_)) => return,
                Some(Err(_)) | None => {
                    self.over = true;
                    return;
                }
            }
        }
        std::future::pending().await
    }

    fn concerns(&self, event: &EventOwned) -> bool {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            return true;
        }
        // Without a name it is about the directory itself.
        let named = |names: &HashSet<OsString>| event.name.as_ref().is_none_or(|name| names.contains(name));
        self.names.get(&event.wd).is_some_and(named)
    }
}

/// The directory entries on which `path` hangs, each with the directory that it is in, up to the first that is absent.
fn entries(path: &Path) -> Vec<(PathBuf, OsString)> {
    let mut entries = Vec::new();
    let mut here = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == OsStr::new("..") {
            here.pop();
            continue;
        }
        let entry = here.join(&part);
        entries.push((here.clone(), part));
        match std::fs::symlink_metadata(&entry) {
            Err(_) => break,
            Ok(found) if found.is_symlink() && links < MAX_LINKS => {
                links += 1;
                let Ok(target) = std::fs::read_link(&entry) else { break };
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                ahead = parts(&target).chain(ahead).collect();
            }
            Ok(_) => here = entry,
        }
    }
    entries
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    /// A directory as Kubernetes fills it: the file is a link by way of `..data` to a directory with a date.
    fn config_map(dir: &Path, generation: &str, text: &str) {
        std::fs::create_dir(dir.join(generation)).expect("directory");
        std::fs::write(dir.join(generation).join("config.yaml"), text).expect("write");
        symlink(generation, dir.join("..data_tmp")).expect("link");
        std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("swap");
        if !dir.join("config.yaml").is_symlink() {
            symlink("..data/config.yaml", dir.join("config.yaml")).expect("link");
        }
    }

    fn temp() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().canonicalize().expect("path");
        (dir, path)
    }

    #[test]
    fn a_path_hangs_on_every_entry_and_link_on_its_way() {
        let (_dir, path) = temp();
        config_map(&path, "..1", "one");
        let below = |entries: Vec<(PathBuf, OsString)>| -> Vec<String> {
            let full = entries.iter().map(|(directory, name)| directory.join(name));
            full.filter_map(|entry| Some(entry.strip_prefix(&path).ok()?.display().to_string())).collect()
        };
        let found = below(entries(&path.join("config.yaml")));
        assert_eq!(found, ["", "config.yaml", "..data", "..1", "..1/config.yaml"]);
        // Absent from some directory on; by a link upwards; in a circle.
        assert_eq!(below(entries(&path.join("a/b/c"))), ["", "a"]);
        symlink("../config.yaml", path.join("..1/up")).expect("link");
        assert_eq!(
            below(entries(&path.join("..1/up")))[2..],
            ["..1/up", "config.yaml", "..data", "..1", "..1/config.yaml"]
        );
        symlink("b", path.join("a")).expect("link");
        symlink("a", path.join("b")).expect("link");
        assert_eq!(below(entries(&path.join("a"))).len(), MAX_LINKS + 2);
    }

    #[tokio::test]
    async fn every_way_to_change_a_file_is_noticed_and_other_files_are_not() {
        let (_dir, path) = temp();
        config_map(&path, "..1", "one");
        std::fs::create_dir(path.join("plain")).expect("directory");
        let (mapped, plain) = (path.join("config.yaml"), path.join("plain/config.yaml"));
        let write = |path: &Path| std::fs::write(path, "x").expect("write");
        let rename = |from: &str, to: &str| std::fs::rename(path.join(from), path.join(to)).expect("rename");
        type Step<'a> = (&'a str, &'a Path, bool, &'a dyn Fn());
        let steps: [Step<'_>; 10] = [
            ("it appears", &plain, true, &|| write(&plain)),
            ("it is written in place", &plain, true, &|| write(&plain)),
            ("another one beside it is written", &plain, false, &|| write(&path.join("plain/other"))),
            ("another one is renamed over it", &plain, true, &|| rename("plain/other", "plain/config.yaml")),
            ("it may not be read any more", &plain, true, &|| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
                std::fs::set_permissions(&plain, mode).expect("chmod");
            }),
            ("it is removed", &plain, true, &|| std::fs::remove_file(&plain).expect("remove")),
            ("its directory is moved", &plain, true, &|| rename("plain", "moved")),
            ("and another one comes", &plain, true, &|| rename("moved", "plain")),
            ("Kubernetes swaps the link", &mapped, true, &|| config_map(&path, "..2", "two")),
            ("what the link led to before goes", &mapped, false, &|| {
                std::fs::remove_dir_all(path.join("..1")).expect("remove");
            }),
        ];
        // Each is noticed by a new watch, and by the one that has been renewed since the first step.
        let watch = |file: &Path| FileWatch::new(file).expect("watch");
        let mut old = [watch(&mapped), watch(&plain)];
        for (what, file, concerns, step) in steps {
            for old in &mut old {
                old.renew().expect("renew");
                while tokio::time::timeout(Duration::ZERO, old.changed()).await.is_ok() {}
            }
            let new = &mut watch(file);
            step();
            for watch in [new, &mut old[usize::from(file == plain)]] {
                let limit = Duration::from_millis(if concerns { 10_000 } else { 100 });
                let noticed = tokio::time::timeout(limit, watch.changed()).await.is_ok();
                assert_eq!(noticed, concerns, "{what}");
            }
        }
    }
}
