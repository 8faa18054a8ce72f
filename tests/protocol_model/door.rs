//! The steps of a door: `Keeper::pin` and, from `may_bind` on, the making of a pin again.

use crate::Flaw;
use crate::process::{At, Fd, Process, Step, Task};
use crate::world::{File, Place, Record, World};

impl Step<'_> {
    pub(crate) fn open_source(&mut self) -> Option<World> {
        let me = *self.me();
        let path = match me.task {
            Some(Task::Pin(path)) => path,
            _ => me.before.expect("a record to heal").path,
        };
        let File::Holds(ns) = self.world.files[usize::from(path)] else {
            return if me.locked { self.go(At::Unlock) } else { self.end() };
        };
        let number = self.world.number(ns).expect("it is held");
        self.me().netns = Some(ns);
        if me.task == Some(Task::Settle) {
            let wanted = me.before.map(|record| {
                let since = if self.flawed(Flaw::OldAge) { record.since } else { ns };
                Record { number, since, gone: None, ..record }
            });
            self.me().wanted = wanted;
            return self.go(At::MayBind);
        }
        self.go(At::OpenLock)
    }

    pub(crate) fn lock_placeholder(&mut self, me: Process) -> Option<World> {
        let at_it = |other: &Process| matches!(other.at, At::Bind | At::Verify) && other.placeholder == Fd::Linked;
        if self.world.processes.iter().any(at_it) {
            return self.go(At::TakeBack); // not within a second
        }
        let current = me.placeholder == Fd::Linked && self.world.pin == Place::Placeholder;
        self.go(if current { At::Bind } else { At::Probe })
    }

    pub(crate) fn bind(&mut self, me: Process) -> Option<World> {
        let refused = (self.world.left.refusals > 0).then(|| {
            let mut refused = *self.world;
            refused.left.refusals -= 1;
            if me.made && me.placeholder == Fd::Linked && refused.pin == Place::Placeholder {
                refused.unlink_placeholder();
            }
            refused.processes[self.which].placeholder = Fd::None;
            refused.processes[self.which].at = At::TakeBack;
            refused
        });
        if me.placeholder == Fd::Unlinked {
            self.go(At::Probe);
            return refused;
        }
        if self.world.pin != Place::Placeholder {
            self.world.broken = Some("a pin is mounted over another one");
        }
        self.world.pin = Place::Pinned(me.netns.expect("open"));
        self.go(At::Verify);
        refused
    }

    /// The pin stands.
    pub(crate) fn pinned(&mut self, me: Process) -> Option<World> {
        if self.flawed(Flaw::MountBeforeRecord) && me.before != me.wanted {
            return self.go(At::WriteRecord);
        }
        self.promise(me)
    }

    /// A door says so; what holds from now on, `World::fault` looks after.
    pub(crate) fn promise(&mut self, me: Process) -> Option<World> {
        if matches!(me.task, Some(Task::Pin(_))) {
            self.world.promised = me.netns;
        }
        self.go(At::Unlock)
    }

    pub(crate) fn take_back(&mut self, me: Process) -> Option<World> {
        match me.before {
            Some(before) => self.world.record = Some(before),
            None if self.world.pin == Place::Absent => return self.go(At::RemoveRecord),
            None => {}
        }
        self.go(At::Unlock)
    }
}
